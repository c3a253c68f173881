"""A finished sweep: each cell against none at the same seeds and settings, corrected over the family."""

import numpy as np
import pytest
from records import make_record, write_notebook

from anm.grid import grid_runs, keep_grid, read_grid
from anm.record import collect_runs
from anm.report import gather, sweeps
from anm.stats import compare_pair, holm
from anm.sweep import read_sweep

TEXT = """
grid:
  mining_opt_steps: [0, 2]
  batch_size: [8, 16]
settings: {n: 4, train_steps: 7, seeds: 0-5, test_problems: 256}
"""
EFFECT = {0: -0.001, 2: 0.002}  # of mining_opt_steps
LEVEL = {8: 0.02, 16: 0.01}  # MSE of none, by batch_size


def score(run):
    """Per seed, with a spread that pairing removes but for a little."""
    p = run.params
    mined = p.strategy == "adversarial"
    wobble = 1e-4 * np.sin((1 + p.mining_opt_steps) * np.arange(6) + p.batch_size) * mined
    return LEVEL[p.batch_size] * (1 + 0.1 * np.cos(np.arange(6))) + EFFECT[p.mining_opt_steps] * mined + wobble


@pytest.fixture
def folder(tmp_path):
    """A sweep's folder in which one cell has not been run."""
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    keep_grid(path, tmp_path / "small")
    for run in grid_runs(read_grid(path), tmp_path):
        if run.path.name != "adversarial-mlp-mining_opt_steps0-batch_size16.ipynb":
            settings = {name: value for name, value in run.params.resolved().items()
                        if name not in ("strategy", "energy", "n", "seeds", "noise_levels", "test_problems")}
            same = score(run)
            write_notebook(run.path, make_record(run.params.strategy, range(6), 4, mse=same, mse_harder=20 * same, **settings))
    return tmp_path / "small"


def test_a_cell_is_compared_with_none_at_its_own_settings(folder):
    cells = read_sweep(folder, collect_runs(folder)[0]).cells
    assert len(cells) == 2 * 2 * 2 and list(cells["n_seeds"]) == [6, 6, 0, 0, 6, 6, 6, 6]
    for steps, batch in ((0, 8), (2, 8), (2, 16)):
        row = cells[(cells["mining_opt_steps"] == steps) & (cells["batch_size"] == batch) & (cells["split"] == "same")].iloc[0]
        assert row["mean_difference"] == pytest.approx(EFFECT[steps], abs=1e-4)
        assert row["relative"] == pytest.approx(row["mean_difference"] / row["mse_none"])
        assert row["mse_none"] == pytest.approx(LEVEL[batch], rel=0.1) and row["ci_low"] < row["mean_difference"] < row["ci_high"]
        assert row["runs"] == (f"adversarial-mlp-mining_opt_steps{steps}-batch_size{batch}.ipynb",)


def test_every_cell_of_a_difficulty_is_in_one_family(folder):
    cells = read_sweep(folder, collect_runs(folder)[0]).cells
    for _, rows in cells.groupby("split"):
        assert set(rows["family"]) == {3}
        np.testing.assert_allclose(rows["p_holm"], holm(rows["p"].to_numpy(float)))
        assert rows["p"].min() == pytest.approx(2 / 2**6) and rows["p_holm"].min() == pytest.approx(3 * 2 / 2**6)
        assert not rows["significant"].any()


def test_a_cell_that_was_not_run_is_named(folder):
    sweep = read_sweep(folder, collect_runs(folder)[0])
    assert sweep.missing == ["adversarial-mlp-mining_opt_steps0-batch_size16.ipynb"]
    said = str(sweeps.say(gather(folder)))
    assert "1 cell of the grid not run or without a baseline: adversarial-mlp-mining_opt_steps0-batch_size16" in said


def test_the_rest_of_the_report_is_about_the_standard_cell_alone(folder):
    findings = gather(folder)
    assert set(findings.records) == {"none-mlp-batch_size8.ipynb", "adversarial-mlp-mining_opt_steps2-batch_size8.ipynb"}
    assert set(findings.scores["strategy"]) == {"none", "adversarial"}
    row = findings.comparison[findings.comparison["split"] == "same"].iloc[0]
    assert row["mean_difference"] == pytest.approx(EFFECT[2], abs=1e-4) and len(findings.comparison) == 2


def test_the_report_says_how_many_comparisons_there_were_and_draws_each_cell(folder):
    findings = gather(folder)
    said, drawn, table = (str(part(findings)) for part in (sweeps.say, sweeps.maps, sweeps.cells))
    assert said.count("3 comparisons, corrected together after Holm: 0 cells significant") == 2
    assert "best adversarial (mining_opt_steps 0, batch_size 8)" in said and "worst adversarial (mining_opt_steps 2, batch_size 16)" in said
    assert drawn.count("<svg") == 2 and drawn.count("<title>adversarial-mlp") == 2 * 3
    assert ">+20." in drawn and ">+10." in drawn and ">-5." in drawn
    assert table.count("<tr") == 1 + 8 and table.count('<a href="./') == 6


def test_a_folder_without_a_sweep_has_no_such_section(folder):
    (folder / "grid.yaml").unlink()
    findings = gather(folder)
    assert findings.sweep is None and len(findings.records) == 5
    assert [str(part(findings)) for part in (sweeps.say, sweeps.maps, sweeps.cells)] == ["", "", ""]


def test_a_cell_is_what_two_arms_of_a_study_would_be(folder):
    scores = collect_runs(folder)[0]
    row = read_sweep(folder, scores).cells.iloc[0]
    same = scores[scores["split"] == "same"].set_index("seed")
    mine, none = (same[same["run"] == name]["mse"] for name in (*row["runs"], "none-mlp-batch_size8.ipynb"))
    by_hand = compare_pair(mine.rename("a"), none.rename("b"), none.mean())
    for name in ("mean_difference", "ci_low", "ci_high", "p", "p_tost"):
        assert row[name] == pytest.approx(by_hand[name])
