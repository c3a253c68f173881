"""The results of a benchmark as a Markdown table, a figure and JSON."""

import json
from pathlib import Path

import pandas as pd

# Entry -> heading of its column and format of its values
COLUMNS = {
    **{name: (name, "{}") for name in ("energy", "strategy", "seeds", "batch", "n")},
    "step_ms": ("ms per step", "{:.1f}"),
    "rows_per_s": ("rows/s", "{:,.0f}"),
    "floor_ms": ("matrix products alone, ms", "{:.1f}"),
    "fraction_of_floor": ("share of the step", "{:.0%}"),
    "textbook_ms": ("reference step, ms", "{:.1f}"),
    "ratio_to_textbook": ("reference / step", "{:.2f}"),
    "peak_mib": ("peak MiB", "{:.0f}"),
}


def markdown_table(table: pd.DataFrame) -> str:
    """The table in Markdown, with the entries that it has."""
    names = [name for name in COLUMNS if name in table]
    cells = [[COLUMNS[name][1].format(row[name]) for name in names] for row in table.to_dict("records")]
    lines = [[COLUMNS[name][0] for name in names], ["---"] * len(names), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plot_roofline(table: pd.DataFrame, ax=None):
    """GFLOP/s of steps (points) and of their products alone (dotted), by rows."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    ax = ax or plt.subplots(figsize=(7, 4), layout="constrained")[1]
    rates = table.assign(rows=table["seeds"] * table["batch"], run=table["energy"] + ", " + table["strategy"])
    common = {"data": rates, "x": "rows", "hue": "run", "ax": ax}
    look = {"estimator": None, "linestyle": ":", "marker": "_", "markeredgecolor": "auto", "legend": False}
    sns.lineplot(y="floor_gflops", **common, **look)
    sns.scatterplot(y="gflops", **common)
    ax.set(xlabel="rows per step (seeds x batch size)", ylabel="GFLOP/s of matrix products")
    ax.set(xscale="log", ylim=(0, None))
    ax.set_title("Steps (points) and the same matrix products alone (dotted)", fontsize=10, loc="left")
    ax.legend(fontsize=8)
    return ax


def write_results(folder: Path, about: dict, rows: list[dict], scaling: list[dict]) -> None:
    """Write benchmark.json and roofline.png; `about` describes the machine."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.json").write_text(json.dumps({"machine": about, "steps": rows, "growth": scaling}, indent=1))
    plot_roofline(pd.DataFrame(rows + scaling)).figure.savefig(folder / "roofline.png", dpi=150)
