"""Tuning: four trials for each arm and regime, which are never repeated, with errors of given or tiny trainings."""

import csv
import math

import numpy as np
import pytest
from tiny import frozen_inverse, narrow, silent_train, tiny  # noqa: F401

from anm.registry import CHOICES
from anm.solvers.errors import solve_errors
from anm.study import tuning
from anm.study.comparison import read_comparison_file
from anm.study.tuning import main, train_and_score
from anm.tasks.frozen import FIT_STREAM
from anm.training.compute import training_compute

TEXT = """
settings: {width: 8, batch_size: 4, noise_levels: 3, landscape_steps: 1, device: cpu}
regimes:
  inverse-3: {n: 3, budget_steps: 8, seeds: 0-2}
  addition-3: {n: 3, task: addition, budget_steps: 6, seeds: 0-2}
arms:
  none: {}
  random: {contrastive_weight: 0.4}
tuning:
  seeds: 1000-1001
  learning_rates: [1e-3, 0.004, 0.002]  # the first is text in YAML 1.1
  regimes:
    inverse-3: {budget_share: 0.5}
"""


@pytest.fixture
def file(tmp_path):
    """The comparison's file."""
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


def trials(file):
    return list(csv.DictReader(file.with_suffix(".tuning.csv").read_text().splitlines()))


class Trials(list):
    """The parameters of each trial; `diverging`: rates whose trainings diverge."""

    diverging: tuple[float, ...] = ()

    def score(self, params) -> float:
        """An error that is lowest at a rate of 0.0021; the weight of negatives raises it a little."""
        self.append(params)
        if params.learning_rate in self.diverging:
            return math.inf
        return 1 + abs(math.log2(params.learning_rate / 0.0021)) + params.contrastive_weight / 100


@pytest.fixture
def scored(monkeypatch):
    """The trials, whose errors are given by a formula."""
    found = Trials()
    monkeypatch.setattr(tuning, "train_and_score", found.score)
    return found


def test_each_arm_has_four_trials(file, scored):
    assert main([str(file)]) == 0
    found = [(row["arm"], row["learning_rate"], row["contrastive_weight"]) for row in trials(file)]
    assert found == [
        ("none", "0.001", "0.5"),
        ("none", "0.002", "0.5"),
        ("none", "0.004", "0.5"),
        ("none", "0.0028", "0.5"),  # between the two best: the root of 0.002 * 0.004
        ("random", "0.001", "0.4"),
        ("random", "0.002", "0.4"),
        ("random", "0.004", "0.4"),
        ("random", "0.002", "0.08"),  # a fifth of the weight at the best rate
    ]
    assert {row["regime"] for row in trials(file)} == {"inverse-3"}  # the other is not tuned


def test_a_trial_has_the_pilot_seeds_and_a_part_of_the_budget(file, scored):
    main([str(file)])
    for params, row in zip(list(scored), trials(file), strict=True):
        assert (params.seeds, params.budget_steps, params.budget_points) == ("1000,1001", 4, "1")
        assert (params.n, params.width, params.strategy) == (3, 8, row["arm"])
        assert (row["seeds"], row["budget_steps"]) == ("1000,1001", "4")
        assert int(row["steps"]) == training_compute(params).steps
        assert float(row["error"]) == pytest.approx(scored.score(params), rel=1e-3)


def test_the_comparison_takes_the_best_trials_and_tuning_does_not_change_with_them(file, scored):
    main([str(file)])
    comparison = read_comparison_file(file)
    none, random = (comparison.params("inverse-3", arm) for arm in ("none", "random"))
    assert (none.learning_rate, random.learning_rate, random.contrastive_weight) == (0.002, 0.002, 0.08)
    assert none.seeds == "0-2" and none.budget_steps == 16
    before, count = trials(file), len(scored)
    main([str(file)])  # with the best trials as settings
    assert trials(file) == before and len(scored) == count


def test_finished_trials_are_not_repeated(file, scored):
    main([str(file)])
    table = file.with_suffix(".tuning.csv")
    whole = table.read_text()
    table.write_text("".join(whole.splitlines(keepends=True)[:4]))  # stopped after three trials of `none`
    scored.clear()
    main([str(file)])
    assert table.read_text() == whole and len(scored) == 5


def test_a_trial_that_diverges_is_left_empty_and_never_the_best(file, scored):
    scored.diverging = (0.002, 0.004)
    main([str(file)])
    rows = trials(file)
    assert [row["error"] == "" for row in rows] == [False, True, True, False] * 2
    assert rows[3]["learning_rate"] == "0.0014" and rows[7]["learning_rate"] == "0.001"
    assert read_comparison_file(file).params("inverse-3", "none").learning_rate == 0.0014
    count = len(scored)
    main([str(file)])
    assert trials(file) == rows and len(scored) == count


def test_only_the_regimes_asked_for_are_tuned(file, scored):
    file.write_text(TEXT + "    addition-3: {learning_rates: [0.01, 0.02, 0.03], seeds: 1005}\n")
    assert main([str(file), "addition-3"]) == 0
    assert {row["regime"] for row in trials(file)} == {"addition-3"} and len(scored) == 8
    assert {(params.task, params.seeds, params.budget_steps) for params in scored} == {("addition", "1005", 6)}
    assert [params.learning_rate for params in scored[:3]] == [0.01, 0.02, 0.03]


@pytest.mark.parametrize(
    "old, new, regimes, said",
    [
        ("    inverse-3: {bud", "    inverse-4: {bud", [], "tuning: inverse-4: there is no such regime. Did you mean"),
        ("", "", ["addition-3"], "tuning: addition-3: there is no such regime. There are: inverse-3"),
        (
            "learning_rates: [1e-3, 0.004, 0.002]",
            "",
            [],
            "inverse-3: must give seeds, and learning_rates: a list of at",
        ),
        ("[1e-3, 0.004, 0.002]", "0.1", [], "inverse-3: must give seeds, and learning_rates"),
        ("[1e-3, 0.004, 0.002]", "[0.1]", [], "inverse-3: must give seeds, and learning_rates"),
        ("  seeds: 1000-1001\n", "", [], "inverse-3: must give seeds"),
        ("[1e-3, ", "[fast, ", [], "learning_rate = 'fast': must be a number"),
    ],
)
def test_a_bad_part_of_the_file_is_named(old, new, regimes, said, file, scored, capsys):
    file.write_text(TEXT.replace(old, new) if old else TEXT)
    assert main([str(file), *regimes]) == 2
    assert said in capsys.readouterr().err and not scored


def test_a_file_without_tuning_has_no_trials(file, scored):
    file.write_text(TEXT.partition("tuning:")[0])
    assert main([str(file)]) == 0 and not scored and not file.with_suffix(".tuning.csv").exists()


def test_the_error_of_a_trial_is_that_of_its_training_on_the_fitting_set(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "PROBLEMS", 30)
    params = tiny(tmp_path, budget_steps=20, schedule="wsd")
    solver = silent_train(params)
    errors = solve_errors(solver, frozen_inverse(4, 0.5, 30, FIT_STREAM)).error.mean(1)
    assert train_and_score(params) == pytest.approx(math.sqrt(errors[0] * errors[1]), rel=1e-6)


def test_a_training_that_diverges_has_an_infinite_error(tmp_path, monkeypatch):
    monkeypatch.setitem(CHOICES["strategy"], "spoilt", lambda context: context.normal() * math.nan)
    assert train_and_score(tiny(tmp_path, strategy="spoilt", train_steps=2)) == np.inf
    monkeypatch.setattr(tuning, "solve_errors", lambda *_: type("Errors", (), {"error": np.full((2, 3), np.nan)}))
    assert train_and_score(tiny(tmp_path, strategy="none", train_steps=2)) == np.inf


def test_a_tiny_tuning_from_its_file_to_the_comparison(file, monkeypatch):
    monkeypatch.setattr(tuning, "PROBLEMS", 20)
    assert main([str(file)]) == 0
    rows = trials(file)
    assert len(rows) == 8 and all(0 < float(row["error"]) < 100 for row in rows)
    best = min((row for row in rows if row["arm"] == "none"), key=lambda row: float(row["error"]))
    assert read_comparison_file(file).params("inverse-3", "none").learning_rate == float(best["learning_rate"])
