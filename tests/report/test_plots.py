"""The figures show the numbers of their tables."""

from pathlib import Path

import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from records import make_record

from anm.analysis import tidy_tables
from anm.records.collect import tidy_rows
from anm.report import plot_helpers, plot_style, plots

STRATEGIES = ("none", "random", "adversarial")
HOSTILE = '<b>$x^2$ \\frac & "q"</b>'


@pytest.fixture
def records():
    return {f"{s}.ipynb": make_record(s) for s in STRATEGIES}


@pytest.fixture
def ax():
    return matplotlib.figure.Figure().add_subplot()


def scores_of(records, split="same"):
    rows = [row for run, record in records.items() for row in tidy_rows(Path(run), record)]
    table = pd.DataFrame(rows)
    return table[table["split"] == split]


def lines_of(ax) -> dict:
    return {line.get_label(): line for line in ax.get_lines()}


def test_seed_points_draws_every_score_and_every_mean(records, ax):
    scores = scores_of(records)
    assert plots.seed_points(scores, {"affine": 0.0096}, ax=ax) is ax
    dots = [dots for dots in ax.collections if len(dots.get_offsets()) and dots.get_urls() != [None]]
    drawn = sorted(y for group in dots for y in group.get_offsets()[:, 1])
    np.testing.assert_allclose(drawn, sorted(scores["mse"]))
    bars = sorted(
        path.vertices[0, 1] for lines in ax.collections for path in lines.get_paths() if len(path.vertices) == 2
    )
    np.testing.assert_allclose(bars, sorted(scores.groupby("strategy")["mse"].mean()))
    assert [label.get_text() for label in ax.get_xticklabels()] == list(STRATEGIES)


def test_the_hover_text_of_a_point_names_run_and_seed(records, ax):
    plots.seed_points(scores_of(records), ax=ax)
    tips = [tip for dots in ax.collections for tip in dots.get_urls() or [] if tip]
    assert len(tips) == 9 and any(tip.startswith("tip:random, seed 2: 0.0") and "random.ipynb" in tip for tip in tips)


def test_reference_lines_lie_at_their_values_and_labels_do_not_overlap(records, ax):
    references = {"constant": 0.0141, "affine": 0.00956, "published": 0.0095, "unknown": np.nan}
    plots.seed_points(scores_of(records), references, ax=ax)
    assert sorted(line.get_ydata()[0] for line in ax.get_lines()) == [0.0095, 0.00956, 0.0141]
    heights = sorted(text.xy[1] for text in ax.texts)
    assert len(heights) == 3 and min(np.diff(heights)) > 0.06 and max(heights) <= 1.02


@pytest.mark.parametrize("heights", [[0.5, 0.5, 0.5], [0.99, 0.98, 1.0], [0.1, 0.9], []])
def test_labels_move_apart_and_keep_their_order(heights):
    placed = plot_helpers._apart(heights)
    assert all(b - a > 0.06 for a, b in zip(sorted(placed), sorted(placed)[1:])) and all(p <= 1.02 for p in placed)
    if heights == [0.1, 0.9]:
        assert placed == heights


def test_a_wide_range_of_values_gets_a_logarithmic_axis(records, ax):
    plots.seed_points(scores_of(records), {"constant": 0.0141}, ax=ax)
    assert ax.get_yscale() == "linear"
    plots.seed_points(scores_of(records), {"constant": 1.41}, ax=ax)
    assert ax.get_yscale() == "log"


def test_paired_differences_draws_interval_and_band(ax):
    pairs = pd.DataFrame({"strategy": "random", "seed": [0, 1], "run": "r.ipynb", "percent": [0.2, 0.6]})
    comparison = pd.DataFrame({"strategy": ["random"], "percent": [0.4], "low": [0.2], "high": [0.6]})
    plots.paired_differences(pairs, comparison, margin=1.0, ax=ax)
    thick = [line for line in ax.get_lines() if line.get_linewidth() == 3]
    assert thick[0].get_xdata().tolist() == [0.2, 0.6]
    band = ax.patches[0]
    assert (band.get_x(), band.get_width()) == (-1.0, 2.0)


def test_a_figure_without_pairs_says_so(ax):
    empty = pd.DataFrame(columns=["strategy", "percent", "low", "high", "seed", "run"])
    plots.paired_differences(empty, empty, ax=ax)
    assert [t.get_text() for t in ax.texts] == ["no strategy shares a seed with none"] and not ax.patches


def test_lines_are_means_and_bands_reach_from_the_lowest_to_the_highest_seed(records, ax):
    learning = tidy_tables.learning(records)
    plots.learning_curves(learning, ax=ax)
    mine = learning[learning["strategy"] == "random"].groupby("step")["mse"]
    np.testing.assert_allclose(lines_of(ax)["random"].get_ydata(), mine.mean())
    band = ax.collections[1].get_paths()[0].vertices[:, 1]
    assert band.max() == mine.max().max() and band.min() == mine.min().min()


def test_strategies_differ_in_marker_and_line_style(records, ax):
    plots.error_by_landscape_steps(tidy_tables.landscape_steps(records).query("split == 'same'"), ax=ax)
    drawn = [lines_of(ax)[s] for s in STRATEGIES]
    assert len({line.get_marker() for line in drawn}) == len({line.get_linestyle() for line in drawn}) == 3


def test_conditions_are_logarithmic_at_the_geometric_middle(records, ax):
    plots.error_by_condition(tidy_tables.conditions(records).query("split == 'same'"), ax=ax)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    np.testing.assert_allclose(lines_of(ax)["none"].get_xdata(), [50**0.5, 100, 1000])
    ax.figure.canvas.draw()
    labels = {t.get_text() for t in ax.get_xticklabels() + ax.get_xticklabels(minor=True)} - {""}
    assert {"10", "100", "1,000"} <= labels and not any("^" in label for label in labels)


def test_offsets_go_from_easy_to_hard_with_the_known_references(records, ax):
    plots.error_by_offset(tidy_tables.ladder(records), {"affine": {0.5: 0.0096, 0.1: 0.2}}, ax=ax)
    assert ax.xaxis_inverted() and list(lines_of(ax)["affine"].get_xdata()) == [0.5, 0.1]
    assert "0.02" in [label.get_text() for label in ax.get_xticklabels()]


def test_energy_is_shown_before_and_after_the_steps(records, ax):
    solving = tidy_tables.solving(records)
    plots.energy_by_level(solving, ax=ax)
    means = solving[solving["strategy"] == "none"].groupby("level")
    before, after = [line for line in ax.get_lines() if line.get_color() == plot_style.STRATEGY_STYLES["none"][0]]
    np.testing.assert_allclose(before.get_ydata(), means["energy_before"].mean())
    np.testing.assert_allclose(after.get_ydata(), means["energy_after"].mean())
    assert ax.xaxis_inverted()


def test_acceptance_is_in_percent(records, ax):
    solving = tidy_tables.solving(records)
    plots.acceptance_by_level(solving, ax=ax)
    np.testing.assert_allclose(
        lines_of(ax)["random"].get_ydata(),
        100 * solving[solving["strategy"] == "random"].groupby("level")["accepted"].mean(),
    )


def test_mining_leaves_out_strategies_without_negatives(records, ax):
    plots.mining_by_level(tidy_tables.mining(records), "gap", ax=ax)
    assert set(lines_of(ax)) == {"random", "adversarial"}
    np.testing.assert_allclose(lines_of(ax)["random"].get_ydata(), 1.0)


def test_strategies_stand_side_by_side_within_an_energy(ax):
    records = {f"{s}-{e}": make_record(s, energy=e) for s in STRATEGIES for e in ("mlp", "bilinear")}
    plots.seed_points_by_energy(scores_of(records), ax=ax)
    places = {round(float(x), 3) for dots in ax.collections for x in dots.get_offsets()[:, 0]}
    assert len(places) == 6 and [t.get_text() for t in ax.get_xticklabels()] == ["mlp", "bilinear"]


EVERY = {
    "seed_points": lambda r, ax: plots.seed_points(scores_of(r), ax=ax),
    "seed_points_by_energy": lambda r, ax: plots.seed_points_by_energy(scores_of(r), ax=ax),
    "learning_curves": lambda r, ax: plots.learning_curves(tidy_tables.learning(r), ax=ax),
    "loss_curves": lambda r, ax: plots.loss_curves(tidy_tables.loss_curves(r), ax=ax),
    "error_by_landscape_steps": lambda r, ax: plots.error_by_landscape_steps(tidy_tables.landscape_steps(r), ax=ax),
    "error_by_condition": lambda r, ax: plots.error_by_condition(tidy_tables.conditions(r), ax=ax),
    "error_by_offset": lambda r, ax: plots.error_by_offset(tidy_tables.ladder(r), ax=ax),
    "energy_by_level": lambda r, ax: plots.energy_by_level(tidy_tables.solving(r), ax=ax),
    "acceptance_by_level": lambda r, ax: plots.acceptance_by_level(tidy_tables.solving(r), ax=ax),
    "mining_by_level": lambda r, ax: plots.mining_by_level(tidy_tables.mining(r), ax=ax),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_returns_its_ax_and_draws_hostile_names(name, ax):
    assert EVERY[name]({"<i>.ipynb": make_record(HOSTILE)}, ax) is ax
    ax.figure.canvas.draw()
    texts = [t.get_text() for t in ax.findobj(matplotlib.text.Text)]
    assert any("<b>" in t and r"\$" in t for t in texts)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("seed_points", "seed_points_by_energy")])
def test_a_figure_without_data_says_so(name, ax):
    EVERY[name]({}, ax)
    assert "no run has these numbers" in [t.get_text() for t in ax.texts]


@pytest.mark.parametrize("name", EVERY)
def test_scores_of_zero_can_be_drawn(name, ax):
    EVERY[name]({"a": make_record(mse=[0, 0, 0], mse_harder=[0, 0, 0])}, ax).figure.canvas.draw()


def test_many_names_are_slanted_and_long_ones_share_one_legend_column(ax):
    records = {str(k): make_record(f"a-rather-long-name-{k}") for k in range(6)}
    plots.seed_points(scores_of(records), ax=ax)
    assert {label.get_rotation() for label in ax.get_xticklabels()} == {35}
    plots.learning_curves(tidy_tables.learning(records), ax=ax)
    assert ax.get_legend()._ncols == 1


def test_a_figure_without_ax_makes_its_own(records):
    with plot_style.report_style():
        axes = plots.seed_points(scores_of(records))
    assert axes.figure is not None and axes.get_ylabel() == "MSE"
    plt.close(axes.figure)


def test_no_interval_is_random(records, ax):
    """Bands reach the extreme seeds, so that a figure drawn twice is the same."""
    random = np.random.get_state()[1].tolist()
    plots.learning_curves(tidy_tables.learning(records), ax=ax)
    assert np.random.get_state()[1].tolist() == random


def test_strategies_whose_short_names_agree_are_numbered(ax):
    records = {name: make_record("x" * 40 + name) for name in "ab"}
    plots.learning_curves(tidy_tables.learning(records), ax=ax)
    assert [text.get_text()[:4] for text in ax.get_legend().get_texts()] == ["1: x", "2: x"]
