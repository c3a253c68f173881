"""The results of a comparison, gathered from synthetic notebooks whose error ratios are known."""

import json

import numpy as np
import pytest
from comparisons import PROBLEMS, comparison_record, write_comparison
from records import write_notebook

from anm.analysis import equal_compute
from anm.analysis.equal_compute import gather_comparison, references
from anm.baselines.floors import read_floors
from anm.params import ParamError, RunParams
from anm.records.collect import RecordError

FACTORS = {"random": 2.0, "adversarial": 1.4, "one-step-denoising": 0.8, "any-noise": 1.0}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_comparison(tmp_path_factory.mktemp("comparison"), FACTORS)


def test_every_declared_run_is_gathered_and_the_gates_decide_the_claims(results):
    assert set(results.labels.values()) == set(results.definition.cells())
    assert not results.refused and not results.missing
    assert results.family == results.passed == ["inverse-4", "inverse-6"]
    assert results.gates["inverse-4-wide"].passed and not results.gates["inverse-20"].passed
    family = results.table[results.table["primary"]]
    assert len(family) == 2 * 4 and set(family["regime"]) == {"inverse-4", "inverse-6"}


@pytest.mark.parametrize(("arm", "factor"), FACTORS.items())
def test_ratios_and_their_intervals_over_problems_are_those_of_the_records(results, arm, factor):
    row, crossed = results.row("inverse-4", arm), results.crossed["inverse-4", arm]
    assert row["ratio"] == pytest.approx(factor, rel=0.05) and row["n_seeds"] == 10
    assert crossed["ratio"] == pytest.approx(row["ratio"], rel=0.002) and crossed["problems"] == PROBLEMS
    assert crossed["ci_low"] < row["ratio"] < crossed["ci_high"]
    assert row["multiplier"] == pytest.approx(factor**-2, rel=0.15) or factor == 2


def test_arms_are_compared_with_each_other_and_with_the_end_of_the_baseline(results):
    against = results.against("inverse-4", "one-step-denoising", "any-noise")
    assert against["ratio"] == pytest.approx(0.8, rel=0.05)
    assert results.row("inverse-4", "adversarial", split="harder")["n_seeds"] == 0  # `none` has it at 2 B alone
    found, more = results.against_end("inverse-4", "adversarial")
    assert more == 2 and found["ratio"] == pytest.approx(1.4 * np.sqrt(2), rel=0.05) and found["n_seeds"] == 10


def test_negatives_and_costs_have_a_row_per_arm(results):
    mined = results.negatives.set_index(["regime", "arm", "level"])
    assert len(mined.loc["inverse-6", "adversarial"]) == 10
    assert mined.loc[("inverse-6", "adversarial"), "accepted"].notna().all()
    assert "any-noise" not in set(results.negatives.dropna(subset="false")["arm"])
    costs = results.costs.set_index(["regime", "arm"])
    assert costs.loc[("inverse-4", "adversarial"), "counted"] == 2.5
    assert costs.loc[("inverse-4", "none"), "measured"] == 1
    assert results.hours == pytest.approx(13 * 12.5 / 3600)


def test_a_missing_run_keeps_its_place_in_the_family(tmp_path):
    results = write_comparison(tmp_path, FACTORS, skip=[("inverse-6", "adversarial"), ("inverse-4-wide", "none")])
    assert results.missing[("inverse-6", "adversarial")] == list(range(10))
    row = results.row("inverse-6", "adversarial")
    assert row["n_seeds"] == 0 and row["primary"] and not row["claim"]
    assert results.gates["inverse-4-wide"] is None and results.table["primary"].sum() == 8


def test_a_regime_without_its_baseline_carries_no_claim_and_stays_in_the_family(tmp_path):
    results = write_comparison(tmp_path, FACTORS, skip=[("inverse-6", "none")])
    assert results.passed == ["inverse-4"] and results.gates["inverse-6"] is None
    assert results.table["primary"].sum() == 8
    own = results.primary[results.primary["regime"] == "inverse-4"]
    assert own["p_holm"].min() == pytest.approx(min(1, 8 * own["p"].min()))
    assert not results.primary.loc[results.primary["regime"] == "inverse-6", "claim"].any()


def test_a_regime_that_fails_its_gate_leaves_the_family(tmp_path):
    results = write_comparison(tmp_path, FACTORS, levels={"inverse-6": 0.029})
    assert results.passed == ["inverse-4"] and results.table["primary"].sum() == 4
    assert not results.primary.loc[results.primary["regime"] == "inverse-6", "claim"].any()


def test_runs_that_were_not_declared_are_refused(tmp_path):
    results = write_comparison(tmp_path)
    record = comparison_record(results.definition, "inverse-4", "random", 0.004)
    old = {name: part for name, part in record.items() if name != "compute"}
    changed = record | {"params": record["params"] | {"learning_rate": 0.5}}
    other = record | {"params": record["params"] | {"learning_rate": 0.25}}
    more = comparison_record(results.definition, "inverse-6", "random", 0.004)
    more["params"]["seeds"] = "10,11,12,13,14,15,16,17,18,19"
    for name, each in {
        "other--random": other,
        "inverse-4--random": changed,
        "inverse-6--adversarial": old,
        "inverse-6--random-seeds10-19": more,
    }.items():
        write_notebook(tmp_path / f"{name}.ipynb", each)
    refused = {each.path.stem: each.reason for each in gather_comparison(tmp_path).refused}
    assert "declares no regime and arm" in refused["other--random"]
    assert "learning_rate 0.5 instead of 0.001" in refused["inverse-4--random"]
    assert "no counted compute" in refused["inverse-6--adversarial"]
    assert "seeds 10, 11" in refused["inverse-6--random-seeds10-19"]


def test_errors_per_problem_survive_the_cut_of_long_texts(tmp_path):
    results = write_comparison(tmp_path)
    errors = results.problem_errors["inverse-4", "random"]
    assert sorted(errors) == list(range(10)) and all(rows.shape == (PROBLEMS,) for rows in errors.values())
    means = results.errors("inverse-4", "random")
    np.testing.assert_allclose([rows.mean() for rows in errors.values()], means, rtol=1e-3)


def test_a_folder_without_a_comparison_is_an_error(tmp_path):
    with pytest.raises(RecordError, match="no such folder.*run --comparison params/comparisons/nowhere.yaml"):
        gather_comparison(tmp_path / "nowhere")
    with pytest.raises(ParamError, match="comparison.yaml"):
        gather_comparison(tmp_path)


def test_references_are_read_from_the_floors_or_computed(monkeypatch):
    floors = read_floors()
    affine = floors[(floors["task"] == "inverse") & (floors["n"] == 20) & (floors["reference"] == "affine")]
    table = references(RunParams(n=20)).set_index("reference")
    assert table.loc["affine", "mse_same"] == affine["same"].iloc[0] and "published" not in set(table["kind"])
    asked = []
    monkeypatch.setattr(equal_compute, "closed_form_table", lambda task, n, problems: asked.append((task.name, n)))
    references(RunParams(n=5))
    references(RunParams(task="completion", n=20, completion_rank=3))
    assert asked == [("inverse", 5), ("completion", 20)]


def test_one_changed_digit_changes_the_fingerprint(tmp_path):
    before = write_comparison(tmp_path).fingerprints
    path = tmp_path / "inverse-4--random.ipynb"
    text = path.read_text()
    first = json.loads(text)["cells"][-1]["outputs"][0]["data"]["application/vnd.anm.run+json"]["curves"]["loss"][0][0]
    path.write_text(text.replace(repr(first), repr(first + 1e-12), 1))
    after = gather_comparison(tmp_path).fingerprints
    assert [run for run in before if before[run] != after[run]] == ["inverse-4--random.ipynb"]
