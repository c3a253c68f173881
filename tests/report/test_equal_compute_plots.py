"""The plots of a comparison, looked at through what they draw."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from anm.report import equal_compute_plots as plots
from anm.report.plot_style import MUTED, STRATEGY_STYLES

ARMS = ["random", "adversarial", "any-noise"]


def rows(**changes) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "strategy": pd.Categorical(ARMS, ["none", *ARMS]),
            "ratio": [1.5, 0.8, 1.0],
            "ci_low": [1.4, 0.7, 0.9],
            "ci_high": [1.6, 0.9, 1.1],
            "significant": [True, True, False],
            "text": ["0.51", "1.49", "1.00"],
            "tip": ["a", "b", "c"],
        }
    )
    return table.assign(**changes)


@pytest.fixture
def ax():
    return Figure().add_subplot()


def test_a_forest_has_points_intervals_and_multipliers(ax):
    plots.forest(rows(), (0.5, 2.0), ax=ax)
    np.testing.assert_allclose([np.ravel(each.get_offsets()) for each in ax.collections], [[1.5, 0], [0.8, 1], [1, 2]])
    lines = [line.get_xdata() for line in ax.lines if len(set(line.get_ydata())) == 1]
    np.testing.assert_allclose(lines, [[1.4, 1.6], [0.7, 0.9], [0.9, 1.1]])
    texts = [text.get_text() for text in ax.texts]
    assert {"0.51", "1.49", "1.00", "multiplier"} <= set(texts)
    assert [label.get_text() for label in ax.get_yticklabels()] == ARMS
    filled = [len(each.get_facecolors()) > 0 for each in ax.collections]
    assert filled == [True, True, False]


def test_a_failed_gate_is_grey_and_gives_its_reason(ax):
    plots.forest(rows(), (0.5, 2.0), "fails its gate: error 0.9 of least squares", ax=ax)
    colours = {tuple(np.round(each.get_edgecolors()[0], 3)) for each in ax.collections}
    assert len(colours) == 1 and ax.get_yticklabels()[0].get_color() == MUTED
    assert any("fails its gate" in text.get_text() for text in ax.texts)
    assert {line.get_color() for line in ax.lines if len(set(line.get_ydata())) == 1} == {MUTED}


def test_arms_keep_their_colours_and_markers():
    one, two = Figure().add_subplot(), Figure().add_subplot()
    plots.forest(rows(), (0.5, 2.0), ax=one)
    plots.forest(rows()[1:], (0.5, 2.0), ax=two)
    colour = [ax.lines[place].get_color() for ax, place in ((one, 2), (two, 1))]
    assert colour == [STRATEGY_STYLES["adversarial"][0]] * 2


def test_ratios_beyond_the_axis_stand_at_its_edge_and_missing_ones_say_so(ax):
    wild = rows(ratio=[100.0, np.nan, 1.0], ci_high=[120.0, np.nan, 1.1])
    limits = plots.ratio_limits(wild)
    assert limits == pytest.approx((0.7 / 1.1, 22))
    plots.forest(wild, limits, ax=ax)
    assert ax.collections[0].get_offsets()[0][0] == pytest.approx(limits[1])
    assert [text.get_text() for text in ax.texts].count(" no result") == 1


def test_the_limits_hold_every_interval_and_the_margin():
    assert plots.ratio_limits(rows(ci_low=1.0, ci_high=1.0, ratio=1.0)) == (0.8, 1.25)
    low, high = plots.ratio_limits(rows())
    assert low < 0.7 and high > 1.6
    assert plots.ratio_limits(rows(ci_low=0.0, ci_high=np.inf))[1] == pytest.approx(1.5 * 1.1)


def test_the_curve_is_a_geometric_mean_with_a_t_interval():
    points = pd.DataFrame({"share": 1.0, "compute": [1.0, 1.0], "error": [0.1, 0.4]})
    (row,) = plots.geometric_curve(points).to_dict("records")
    half = 12.7062 * np.log(4) / np.sqrt(2) / np.sqrt(2)  # t of 1 degree of freedom
    assert row["mean"] == pytest.approx(0.2) and row["high"] == pytest.approx(0.2 * np.exp(half), rel=1e-4)
    assert row["low"] == pytest.approx(0.2 / np.exp(half), rel=1e-4)


def test_error_by_compute_shows_every_arm_and_references_in_range(ax):
    points = pd.DataFrame(
        [
            {"strategy": arm, "share": share, "compute": 2 * share, "error": error / share, "seed": seed}
            for arm, error in (("none", 0.01), ("random", 0.02))
            for share in (0.125, 0.25, 0.5, 1.0)
            for seed in range(3)
        ]
    )
    plots.error_by_compute(
        points.assign(strategy=pd.Categorical(points["strategy"])), {"near": 0.1, "far": 50.0}, ax=ax
    )
    texts = [text.get_text() for text in ax.texts]
    assert {"none", "random", "near"} == set(texts) and ax.get_xscale() == ax.get_yscale() == "log"
