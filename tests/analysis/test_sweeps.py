"""A finished sweep: each cell against none at the same seeds and settings, corrected over the family."""

import numpy as np
import pytest
from records import make_record, write_notebook
from studies import table_rows

from anm.analysis.gaps import missing
from anm.analysis.statistics import compare_pair, holm
from anm.analysis.sweeps import read_sweep
from anm.records.collect import collect_runs
from anm.records.read import read_run
from anm.report import gather, sweeps
from anm.study.sweep import copy_sweep_file, read_sweep_file, sweep_runs

TEXT = """
grid:
  mining_opt_steps: [0, 2]
  batch_size: [8, 16]
settings: {n: 4, train_steps: 7, seeds: 0-5, test_problems: 256}
"""
EFFECT = {0: -0.001, 2: 0.002}  # of mining_opt_steps
LEVEL = {8: 0.02, 16: 0.01}  # MSE of none, by batch_size


PARTS = (sweeps.description, sweeps.summary, sweeps.maps, sweeps.cells)
ABSENT = "adversarial-mlp-mining_opt_steps0-batch_size16.ipynb"


def score(run):
    """Per seed, with a spread that pairing removes but for a little."""
    p, seeds = run.params, np.array(run.params.seed_list)
    mined = p.strategy != "none"
    wobble = 1e-4 * np.sin((1 + p.mining_opt_steps) * seeds + p.batch_size) * mined
    return LEVEL[p.batch_size] * (1 + 0.1 * np.cos(seeds)) + EFFECT[p.mining_opt_steps] * mined + wobble


def record_of(run, **other):
    settings = {
        name: value
        for name, value in run.params.resolved().items()
        if name not in ("strategy", "energy", "n", "seeds", "noise_levels", "test_problems")
    }
    same = score(run)
    return make_record(run.params.strategy, run.params.seed_list, 4, mse=same, mse_harder=20 * same, **settings | other)


def swept(tmp_path, text, absent=ABSENT):
    """The folder of a sweep that has been run, but for one notebook."""
    path = tmp_path / "small.yaml"
    path.write_text(text)
    copy_sweep_file(path, tmp_path / "small")
    for run in sweep_runs(read_sweep_file(path), tmp_path):
        if run.path.name != absent:
            write_notebook(run.path, record_of(run))
    return tmp_path / "small"


@pytest.fixture
def folder(tmp_path):
    """A sweep's folder in which one cell has not been run."""
    return swept(tmp_path, TEXT)


def test_a_cell_is_compared_with_none_at_its_own_settings(folder):
    cells = read_sweep(folder, collect_runs(folder)[0]).cells
    assert len(cells) == 2 * 2 * 2 and list(cells["n_seeds"]) == [6, 6, 0, 0, 6, 6, 6, 6]
    for steps, batch in ((0, 8), (2, 8), (2, 16)):
        row = cells[
            (cells["mining_opt_steps"] == steps) & (cells["batch_size"] == batch) & (cells["split"] == "same")
        ].iloc[0]
        assert row["mean_difference"] == pytest.approx(EFFECT[steps], abs=1e-4)
        assert row["relative"] == pytest.approx(row["mean_difference"] / row["mse_none"])
        assert (
            row["mse_none"] == pytest.approx(LEVEL[batch], rel=0.1)
            and row["ci_low"] < row["mean_difference"] < row["ci_high"]
        )
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
    text = str(sweeps.description(gather(folder)))
    assert (
        "1 run of the grid without a comparison (not run, or without a score or a baseline): "
        "adversarial-mlp-mining_opt_steps0-batch_size16" in text
    )


def test_the_rest_of_the_report_is_about_the_standard_cell_alone(folder):
    found = gather(folder)
    assert set(found.records) == {
        "none-mlp-batch_size8.ipynb",
        "adversarial-mlp-mining_opt_steps2-batch_size8.ipynb",
    }
    assert set(found.scores["strategy"]) == {"none", "adversarial"}
    row = found.comparison[found.comparison["split"] == "same"].iloc[0]
    assert row["mean_difference"] == pytest.approx(EFFECT[2], abs=1e-4) and len(found.comparison) == 2


def test_the_report_has_every_comparison_and_draws_each_cell(folder):
    found = gather(folder)
    drawn, table = str(sweeps.maps(found)), str(sweeps.cells(found))
    for row in table_rows(sweeps.summary(found))[1:]:
        assert row[-2:] == ["3", "inconclusive: with 6 seeds, p cannot be below 0.094"]
        assert row[1].startswith("adversarial (mining_opt_steps 0, batch_size 8): ")
        assert row[2].startswith("adversarial (mining_opt_steps 2, batch_size 16): ")
    assert drawn.count("<svg") == 2 and drawn.count("<title>adversarial-mlp") == 2 * 3
    assert ">+20." in drawn and ">+10." in drawn and ">-5." in drawn
    assert table.count("<tr") == 1 + 8 and table.count('<a href="./') == 6


def test_a_folder_without_a_sweep_has_no_such_section(folder):
    (folder / "grid.yaml").unlink()
    found = gather(folder)
    assert found.sweep is None and len(found.records) == 5
    assert [str(part(found)) for part in PARTS] == ["", "", "", ""]


def test_a_cell_is_the_comparison_of_its_two_runs(folder):
    scores = collect_runs(folder)[0]
    row = read_sweep(folder, scores).cells.iloc[0]
    same = scores[scores["split"] == "same"].set_index("seed")
    mine, none = (same[same["run"] == name]["mse"] for name in (*row["runs"], "none-mlp-batch_size8.ipynb"))
    by_hand = compare_pair(mine.rename("a"), none.rename("b"), none.mean())
    for name in ("mean_difference", "ci_low", "ci_high", "p", "p_tost"):
        assert row[name] == pytest.approx(by_hand[name])


def changed(path, change):
    """The record of a notebook, changed by hand."""
    record = read_run(path)
    change(record)
    write_notebook(path, record)


def test_a_strategy_that_uses_no_axis_is_one_comparison(tmp_path):
    text = (
        TEXT.replace("  batch_size: [8, 16]\n", "").replace("{n: 4", "{batch_size: 8, n: 4")
        + "strategies: [none, adversarial, random]\n"
    )
    folder = swept(tmp_path, text, absent=None)
    cells = read_sweep(folder, collect_runs(folder)[0]).cells
    assert set(cells["strategy"]) == {"adversarial", "random"} and set(cells["family"]) == {3}
    assert cells.loc[cells["strategy"] == "random", "planned"].unique().tolist() == ["random-mlp.ipynb"]
    once = cells[cells["split"] == "same"].drop_duplicates("planned")
    np.testing.assert_allclose(once["p_holm"], holm(once["p"].to_numpy(float)))
    assert table_rows(sweeps.summary(gather(folder)))[1][3] == "3"


def test_enough_seeds_can_show_a_difference(tmp_path):
    folder = swept(tmp_path, TEXT.replace("0-5", "0-7"), absent=None)
    assert read_sweep(folder, collect_runs(folder)[0]).cells["significant"].all()
    assert [row[-2:] for row in table_rows(sweeps.summary(gather(folder)))[1:]] == [["4", "4 cells significant"]] * 2


def test_a_run_with_another_setting_is_in_no_cell(folder):
    before = read_sweep(folder, collect_runs(folder)[0]).cells["n_seeds"].tolist()
    write_notebook(
        folder / "other.ipynb",
        make_record("adversarial", range(6, 9), 4, train_steps=7, batch_size=8, mining_opt_steps=0, learning_rate=0.5),
    )
    assert read_sweep(folder, collect_runs(folder)[0]).cells["n_seeds"].tolist() == before


def test_a_cell_that_drew_on_another_device_than_its_baseline_makes_no_claim(tmp_path):
    folder = swept(tmp_path, TEXT.replace("0-5", "0-7"), absent=None)
    name = "adversarial-mlp-mining_opt_steps0-batch_size8.ipynb"
    changed(folder / name, lambda record: record["provenance"]["machine"].update(gpu="H100"))
    cells = read_sweep(folder, collect_runs(folder)[0]).cells
    assert (
        not cells.loc[cells["planned"] == name, "significant"].any()
        and cells.loc[cells["planned"] != name, "significant"].all()
    )
    assert any(
        text.startswith(f"{name}: this run and its baseline drew their problems on different devices")
        for text in missing(gather(folder))
    )


def test_gaps_name_runs_that_only_the_sweep_has(folder):
    name = "adversarial-mlp-mining_opt_steps2-batch_size16.ipynb"

    def spoil(record):
        record["provenance"]["git_dirty"] = True
        record["results"]["same"]["mse"][3] = None

    changed(folder / name, spoil)
    found = missing(gather(folder))
    assert (
        f"{name}: seed 3 has no finite MSE on same. It is left out." in found
        and f"{name}: its code differed from its commit." in found
    )


def test_a_sweep_can_be_moved(folder):
    there = folder.rename(folder.with_name("my sweep, copied"))
    assert len(gather(there).sweep.cells) == 8


def test_a_sweep_that_cannot_be_read_leaves_the_rest_of_the_report(folder):
    (folder / "grid.yaml").write_text(TEXT + "strategies: [nowhere:greedy]\n")
    found = gather(folder)
    assert found.sweep is None and len(found.records) == 5
    (refused,) = found.refused
    assert refused.path.name == "grid.yaml" and "nowhere" in refused.reason
