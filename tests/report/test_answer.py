"""The first screen: each sentence follows from the numbers."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest
from records import make_record, write_notebook
from studies import TEN, write_study

from anm.analysis.folder import gather
from anm.analysis.gaps import missing
from anm.analysis.results import StudyResults
from anm.report.answer import (
    DECLARED_SCALE,
    at_equal_compute,
    details,
    distances,
    scale,
    short_answer,
    single_precision_limit,
    step_time,
    training_length,
    verdict,
)
from anm.study.plan import plan_study

REFERENCES = pd.DataFrame(
    {"energy": "mlp", "reference": ["affine", "constant"], "mse_same": [0.00956, 0.01415], "mse_harder": [0.208, 0.229]}
)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (-0.05, "With mlp, adversarial mining lowers the error on problems as in training by 5.0\u202f% (95"),
        (0.05, "With mlp, adversarial mining raises the error on problems as in training by 5.0\u202f% (95"),
        (0.005, "raises the error on problems as in training by 0.50\u202f%, less than the margin of 1\u202f% (95"),
        (
            [1e-4, -1e-4] * 5,
            "Equivalent within the margin of 1\u202f%: with mlp, adversarial mining changes the error on",
        ),
        ([0.05, -0.04] * 5, "Inconclusive: with mlp, adversarial mining changes the error on problems as in training"),
    ],
)
def test_the_verdict_follows_from_the_numbers(tmp_path, change, text):
    assert text in verdict(write_study(tmp_path, change=change))


def test_a_sentence_has_interval_p_seeds_and_cost(tmp_path):
    same, harder = verdict(write_study(tmp_path, change=-0.05)).splitlines()
    assert same.endswith(
        "by 5.0\u202f% (95\u202f% interval −5.0\u202f% to −5.0\u202f%, p = 0.0020, lower in 10 of 10 seeds), "
        "at 1.0 times the time per step."
    )
    assert harder == same.replace("problems as in training", "harder problems")


@pytest.mark.parametrize("change", [-0.05, 0.05, 1e-4])
def test_below_six_seeds_there_is_an_interval_and_no_claim(tmp_path, change):
    for line in verdict(write_study(tmp_path, seeds=range(5), change=change)).splitlines():
        assert line.startswith("No claim with fewer than 6 seeds: with mlp, ") and "interval" in line
        assert not re.search("lowers|raises|Equivalent|Inconclusive", line)


def test_one_seed_has_no_interval(tmp_path):
    assert "(no interval from 1 seed" in verdict(write_study(tmp_path, seeds=[4], change=0.05))


def test_six_seeds_are_enough_for_a_claim(tmp_path):
    """Two strategies: with three, Holm's correction over three pairs leaves 6 seeds above 0.05."""
    assert "mining raises the error" in verdict(write_study(tmp_path, seeds=range(6), change=0.05))
    text = verdict(write_study(tmp_path, seeds=range(6), change=0.05, random=0.02))
    assert text.startswith("Inconclusive")
    assert "With 6 seeds and 3 comparisons, the corrected p cannot be below 0.094." in text


def test_the_lowest_p_takes_the_other_pairs_as_they_are(tmp_path):
    """none and random have ten seeds, so that their pair uses up the first factor of Holm's correction."""
    write_study(tmp_path, change=None, random=0.05)
    base = [0.01 * (1 + 0.001 * ((7 * seed) % 5 - 2)) for seed in range(6)]
    write_notebook(
        tmp_path / "adversarial.ipynb",
        make_record("adversarial", seeds=range(6), mse=[1.02 * b for b in base], mse_harder=[0.2 * b for b in base]),
    )
    found = gather(tmp_path)
    row = found.comparison.query("split == 'same' and strategy == 'adversarial' and against == 'none'").iloc[0]
    assert row["p_holm"] == pytest.approx(2 * 2 / 2**6) and "p cannot be below 0.062" in verdict(found)


@pytest.mark.parametrize("gone", ["none", "adversarial"])
def test_without_both_strategies_there_is_no_answer(tmp_path, gone):
    write_study(tmp_path, change=0.05)
    (tmp_path / f"{gone}.ipynb").unlink()
    found = gather(tmp_path)
    assert verdict(found) == f"No answer yet with mlp: there is no run of {gone}."
    assert f"mlp: there is no run of {gone}." in missing(found)


def test_no_shared_seed_is_no_answer(tmp_path):
    write_notebook(tmp_path / "a.ipynb", make_record("none", seeds=(0, 1)))
    write_notebook(tmp_path / "b.ipynb", make_record("adversarial", seeds=(2, 3)))
    assert "share no seed" in verdict(gather(tmp_path))


def test_runs_that_differ_in_more_than_their_strategy_make_no_claim(tmp_path):
    write_study(tmp_path, change=0.05)
    write_notebook(tmp_path / "adversarial.ipynb", make_record("adversarial", seeds=TEN, batch_size=64))
    found = gather(tmp_path)
    assert verdict(found).startswith("No claim, because the runs differ in more than their strategy")
    assert any("differ in batch_size (32, 64)" in text for text in missing(found))


@pytest.mark.parametrize("seeds", [3, 7])
def test_errors_at_the_limit_of_single_precision_make_no_claim(tmp_path, monkeypatch, seeds):
    for strategy, factor in (("none", 1.0), ("adversarial", 2.0)):
        record = make_record(strategy, seeds=range(seeds), energy="residual", mse=[factor * 1e-5] * seeds)
        write_notebook(tmp_path / f"{strategy}.ipynb", record)
    limit = [["lu_float32", 1, 1.5e-5, "same"]]
    monkeypatch.setattr(StudyResults, "iterative", pd.DataFrame(limit, columns=["method", "products", "mse", "split"]))
    line = verdict(gather(tmp_path)).splitlines()[0]
    if seeds < 6:
        assert line.startswith("No claim with fewer than 6 seeds")
    else:
        assert line == (
            "No claim: with residual, all mean errors on problems as in training (1.00 to 2.00 × 10⁻⁵) are at the "
            "limit of single precision (LU in float32: 2 × 10⁻⁵)."
        )


def test_one_strategy_at_the_limit_of_single_precision_is_not_enough(tmp_path, monkeypatch):
    for strategy, mse in (("none", 1e-14), ("adversarial", 1e-8)):
        write_notebook(tmp_path / f"{strategy}.ipynb", make_record(strategy, energy="residual", mse=[mse] * 3))
    limit = [["lu_float32", 1, 1e-14, "same"]]
    monkeypatch.setattr(StudyResults, "iterative", pd.DataFrame(limit, columns=["method", "products", "mse", "split"]))
    assert single_precision_limit(gather(tmp_path), "residual", "same") is None


@pytest.mark.parametrize(
    ("mse", "ratio", "note"),
    [
        (0.0095, "0.994", "On this plateau"),
        (0.012, "1.26", ""),
        (0.02, "2.09", "worse than the constant answer (0.0141)"),
        (1e-4, "0.0105", ""),
        (0.0, "0.00", ""),
    ],
)
def test_the_distance_to_the_affine_fit_is_stated(tmp_path, mse, ratio, note, monkeypatch):
    write_notebook(tmp_path / "none.ipynb", make_record("none", mse=[mse] * 3))
    found = gather(tmp_path)
    monkeypatch.setitem(found.__dict__, "references", REFERENCES)
    (text,) = distances(found, "mlp")
    assert f"(none), {ratio} times that of the affine fit (0.00956)." in text
    assert note in text if note else text.endswith("(0.00956).")


def test_the_scale_is_stated(tmp_path):
    assert scale(write_study(tmp_path, change=0.05)) == (
        "Scale: n = 4, 500 training steps, batch 32, 10 seeds, 256 test problems per split, 2 runs on Test CPU. "
        "The declared scale is larger: 100,000 training steps, batches of 2,048, 20,000 test problems."
    )


def test_the_declared_scale_is_that_of_the_full_study():
    declared = {name: value for name, (value, _) in DECLARED_SCALE.items()}
    for run in plan_study("full"):
        scale = {name: getattr(run.params, name) for name in declared if name != "seeds"}
        assert scale | {"seeds": len(run.params.seed_list)} == declared


def test_each_energy_and_split_has_its_line_in_the_studys_order(tmp_path):
    for energy, change in {"residual": 0.9, "mlp": 1.05, "bilinear": 1.05}.items():
        for strategy, factor in {"none": 1.0, "adversarial": change}.items():
            mse = [factor * (0.01 + 1e-5 * ((3 * seed) % 7)) for seed in range(6)]
            record = make_record(strategy, seeds=range(6), energy=energy, mse=mse, mse_harder=mse)
            write_notebook(tmp_path / f"{strategy}-{energy}.ipynb", record)
    found = gather(tmp_path)
    lines = verdict(found).splitlines()
    assert found.energies == ["mlp", "bilinear", "residual"]
    starts = [
        f"With {energy}, adversarial mining {verb} the error on {problems} by"
        for energy, verb in (("mlp", "raises"), ("bilinear", "raises"), ("residual", "lowers"))
        for problems in ("problems as in training", "harder problems")
    ]
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))
    assert short_answer(found) == lines and all(line in details(found) for line in lines)


def test_the_short_answer_groups_the_results_without_a_claim(tmp_path):
    for energy in ("mlp", "bilinear"):
        for strategy in ("none", "adversarial"):
            factor = 1.05 if strategy == "adversarial" and energy == "mlp" else 1
            mse = [factor * 0.01 * (1 + 0.1 * (-1) ** (seed + len(strategy))) for seed in range(6)]
            record = make_record(strategy, seeds=range(6), energy=energy, mse=mse, mse_harder=[1.05 * 0.01] * 6)
            write_notebook(tmp_path / f"{strategy}-{energy}.ipynb", record)
    (rest,) = [text for text in short_answer(gather(tmp_path)) if not text.startswith(("With", "Equivalent"))]
    assert rest == "Inconclusive on problems as in training: mlp, bilinear."


def test_a_study_of_another_strategy_is_about_that_one(tmp_path):
    write_study(tmp_path, change=None, **{"mine:greedy": 0.05})
    found = gather(tmp_path, ("none", "mine:greedy"))
    assert verdict(found).startswith("With mlp, mine:greedy mining raises the error") and missing(found) == []


@pytest.mark.parametrize(
    "budgets, length, cost",
    [
        ([0, 0], "2,000 training steps", ", at 2.0 times the time per step"),
        ([500, 500], "compute of 500 steps of none", ", at equal compute"),
        ([500, 0], "2,000 training steps", ", at 2.0 times the time per step"),
    ],
)
def test_runs_of_a_budget_are_compared_at_equal_compute(budgets, length, cost):
    params = [{"train_steps": 2000, "budget_steps": budget} for budget in budgets]
    assert training_length(params) == length
    records = {str(place): {"params": each} for place, each in enumerate(params)}
    equal = at_equal_compute(SimpleNamespace(records=records))
    assert (", at equal compute" if equal else step_time(2.0)) == cost
