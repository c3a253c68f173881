"""The benchmark's table and figure."""

import pandas as pd

from anm.benchmark.tables import COLUMNS, markdown_table, plot_roofline

ENTRY = {"energy": "mlp", "strategy": "none", "seeds": 2, "batch": 8, "n": 4, "step_ms": 1.26, "rows_per_s": 12698.4}
ENTRY |= {"floor_ms": 0.5, "fraction_of_floor": 0.397, "gflops": 2.0, "floor_gflops": 5.0, "peak_mib": 300.4}


def test_the_table_by_hand():
    heading, rule, row = markdown_table(pd.DataFrame([ENTRY])).splitlines()
    assert heading.count("|") == rule.count("|") == row.count("|") == len(COLUMNS) - 1  # without a reference step
    assert row == "| mlp | none | 2 | 8 | 4 | 1.3 | 12,698 | 0.5 | 40% | 300 |"


def test_the_roofline_has_a_point_per_entry():
    other = ENTRY | {"strategy": "random", "batch": 16, "gflops": 3.0}
    ax = plot_roofline(pd.DataFrame([ENTRY, other]))
    (points,) = ax.collections
    assert points.get_offsets().tolist() == [[16, 2.0], [32, 3.0]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mlp, none", "mlp, random"]
