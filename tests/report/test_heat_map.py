"""The figure of a sweep: each cell in its place, with its number, its interval and its colour."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from anm.report.heat_map import sweep_heat_map

CELLS = pd.DataFrame(
    [
        {"steps": 0, "scale": 1.0, "percent": -4.0, "low": -6.0, "high": -2.0, "significant": True, "tip": "a"},
        {"steps": 0, "scale": 3.0, "percent": 0.0, "low": -1.0, "high": 1.0, "significant": False, "tip": "b"},
        {"steps": 2, "scale": 1.0, "percent": 8.0, "low": np.nan, "high": np.nan, "significant": False, "tip": "c"},
        {"steps": 2, "scale": 3.0, "percent": np.nan, "low": np.nan, "high": np.nan, "significant": False, "tip": "d"},
    ]
)


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield sweep_heat_map(CELLS, "steps", "scale", ax=ax)
    plt.close(figure)


def cells(ax):
    """Hover text -> outline of each cell."""
    return {patch.get_url(): patch for patch in ax.patches if isinstance(patch, Rectangle)}


def test_each_cell_that_was_run_is_in_its_place_and_no_other(ax):
    places = {url: (int(patch.get_x()), int(patch.get_y())) for url, patch in cells(ax).items()}
    assert places == {"tip:a": (0, 0), "tip:b": (0, 1), "tip:c": (1, 0)}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "2"] and ax.get_xlabel() == "steps"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1.0", "3.0"] and ax.get_ylabel() == "scale"


def test_numbers_and_intervals_stand_in_their_cells(ax):
    texts = {(int(text.get_position()[0]), int(text.get_position()[1]), text.get_text()) for text in ax.texts}
    assert texts == {(0, 0, "-4.0"), (0, 0, "-6.0 to -2.0"), (0, 1, "+0.0"), (0, 1, "-1.0 to +1.0"), (1, 0, "+8.0")}


def test_better_is_blue_worse_is_orange_level_is_neither_and_significance_is_framed(ax):
    better, worse, level, missing = ax.collections[0].get_facecolors()
    assert better[2] > better[0] and worse[0] > worse[2]
    assert max(level[:3]) - min(level[:3]) < 0.02 and missing[3] == 0
    framed = {url: patch.get_linewidth() > 0 for url, patch in cells(ax).items()}
    assert framed == {"tip:a": True, "tip:b": False, "tip:c": False}
