"""Figures: what is drawn is what the table holds."""

from pathlib import Path

import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from records import make_record

from anm import axes, frames, looks, plots
from anm.record import tidy_rows

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


def test_seed_points_has_every_score_and_every_mean(records, ax):
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


def test_points_say_run_and_seed(records, ax):
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
    placed = axes._apart(heights)
    assert all(b - a > 0.06 for a, b in zip(sorted(placed), sorted(placed)[1:])) and all(p <= 1.02 for p in placed)
    if heights == [0.1, 0.9]:
        assert placed == heights


def test_values_over_a_wide_range_get_a_logarithmic_axis(records, ax):
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


def test_without_pairs_the_figure_says_so(ax):
    empty = pd.DataFrame(columns=["strategy", "percent", "low", "high", "seed", "run"])
    plots.paired_differences(empty, empty, ax=ax)
    assert [t.get_text() for t in ax.texts] == ["no strategy shares a seed with none"] and not ax.patches


def test_lines_are_means_and_bands_reach_the_extreme_seeds(records, ax):
    learning = frames.learning(records)
    plots.learning_curves(learning, ax=ax)
    mine = learning[learning["strategy"] == "random"].groupby("step")["mse"]
    np.testing.assert_allclose(lines_of(ax)["random"].get_ydata(), mine.mean())
    band = ax.collections[1].get_paths()[0].vertices[:, 1]
    assert band.max() == mine.max().max() and band.min() == mine.min().min()


def test_styles_differ_where_colours_do_not_show(records, ax):
    plots.landscape_steps(frames.landscape_steps(records).query("split == 'same'"), ax=ax)
    drawn = [lines_of(ax)[s] for s in STRATEGIES]
    assert len({line.get_marker() for line in drawn}) == len({line.get_linestyle() for line in drawn}) == 3


def test_conditions_are_logarithmic_at_the_geometric_middle(records, ax):
    plots.conditions(frames.conditions(records).query("split == 'same'"), ax=ax)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    np.testing.assert_allclose(lines_of(ax)["none"].get_xdata(), [50**0.5, 100, 1000])
    ax.figure.canvas.draw()
    labels = {t.get_text() for t in ax.get_xticklabels() + ax.get_xticklabels(minor=True)} - {""}
    assert {"10", "100", "1,000"} <= labels and not any("^" in label for label in labels)


def test_ladder_goes_from_easy_to_hard_and_shows_the_references_that_are_known(records, ax):
    plots.ladder(frames.ladder(records), {"affine": {0.5: 0.0096, 0.1: 0.2}}, ax=ax)
    assert ax.xaxis_inverted() and list(lines_of(ax)["affine"].get_xdata()) == [0.5, 0.1]
    assert "0.02" in [label.get_text() for label in ax.get_xticklabels()]


def test_energies_shows_before_and_after(records, ax):
    solving = frames.solving(records)
    plots.energies(solving, ax=ax)
    means = solving[solving["strategy"] == "none"].groupby("level")
    before, after = ax.get_lines()[:2]
    np.testing.assert_allclose(before.get_ydata(), means["energy_before"].mean())
    np.testing.assert_allclose(after.get_ydata(), means["energy_after"].mean())
    assert ax.xaxis_inverted()


def test_acceptance_is_in_percent(records, ax):
    solving = frames.solving(records)
    plots.acceptance(solving, ax=ax)
    np.testing.assert_allclose(
        lines_of(ax)["random"].get_ydata(),
        100 * solving[solving["strategy"] == "random"].groupby("level")["accepted"].mean(),
    )


def test_mined_leaves_out_strategies_without_negatives(records, ax):
    plots.mined(frames.mining(records), "gap", ax=ax)
    assert set(lines_of(ax)) == {"random", "adversarial"}
    np.testing.assert_allclose(lines_of(ax)["random"].get_ydata(), 1.0)


def test_overview_puts_strategies_side_by_side_within_an_energy(ax):
    records = {f"{s}-{e}": make_record(s, energy=e) for s in STRATEGIES for e in ("mlp", "bilinear")}
    plots.overview(scores_of(records), ax=ax)
    places = {round(float(x), 3) for dots in ax.collections for x in dots.get_offsets()[:, 0]}
    assert len(places) == 6 and [t.get_text() for t in ax.get_xticklabels()] == ["mlp", "bilinear"]


EVERY = {
    "seed_points": lambda r, ax: plots.seed_points(scores_of(r), ax=ax),
    "overview": lambda r, ax: plots.overview(scores_of(r), ax=ax),
    "learning_curves": lambda r, ax: plots.learning_curves(frames.learning(r), ax=ax),
    "loss_curves": lambda r, ax: plots.loss_curves(frames.losses(r), ax=ax),
    "landscape_steps": lambda r, ax: plots.landscape_steps(frames.landscape_steps(r), ax=ax),
    "conditions": lambda r, ax: plots.conditions(frames.conditions(r), ax=ax),
    "ladder": lambda r, ax: plots.ladder(frames.ladder(r), ax=ax),
    "energies": lambda r, ax: plots.energies(frames.solving(r), ax=ax),
    "acceptance": lambda r, ax: plots.acceptance(frames.solving(r), ax=ax),
    "mined": lambda r, ax: plots.mined(frames.mining(r), ax=ax),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_takes_and_returns_ax_and_stands_hostile_names(name, ax):
    assert EVERY[name]({"<i>.ipynb": make_record(HOSTILE)}, ax) is ax
    ax.figure.canvas.draw()
    texts = [t.get_text() for t in ax.findobj(matplotlib.text.Text)]
    assert any("<b>" in t and r"\$" in t for t in texts)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("seed_points", "overview")])
def test_a_figure_without_data_says_so(name, ax):
    EVERY[name]({}, ax)
    assert "no run has these numbers" in [t.get_text() for t in ax.texts]


@pytest.mark.parametrize("name", EVERY)
def test_scores_of_zero_can_be_drawn(name, ax):
    EVERY[name]({"a": make_record(mse=[0, 0, 0], mse_harder=[0, 0, 0])}, ax).figure.canvas.draw()


def test_many_names_are_slanted_and_long_ones_get_a_legend_column_each(ax):
    records = {str(k): make_record(f"a-rather-long-name-{k}") for k in range(6)}
    plots.seed_points(scores_of(records), ax=ax)
    assert {label.get_rotation() for label in ax.get_xticklabels()} == {35}
    plots.learning_curves(frames.learning(records), ax=ax)
    assert ax.get_legend()._ncols == 1


def test_without_ax_a_new_one_is_made(records):
    with looks.style():
        axes = plots.seed_points(scores_of(records))
    assert axes.figure is not None and axes.get_ylabel() == "MSE"
    plt.close(axes.figure)
