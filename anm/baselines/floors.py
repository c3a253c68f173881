"""Floors: what every task allows without a trained network, beside the published figure.

`floors.csv` holds the table of all tasks at their sizes; `python -m anm.study floors --write` makes it again.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from anm.baselines.closed_form import closed_form_table
from anm.baselines.published import BEST
from anm.registry import CHOICES
from anm.tasks import Task, get

FLOORS_FILE = Path(__file__).with_name("floors.csv")
PROBLEMS = 4000  # frozen problems of each difficulty
# The best published figure of a task at n: (task, n) -> (method, same, harder), without uncertainty
BEST_PUBLISHED = {("inverse", 20): ("IRED", BEST.mse_same, BEST.mse_harder)}


def floor_table(tasks: Iterable[Task], problems: int = PROBLEMS) -> pd.DataFrame:
    """Every baseline of every task at each of its sizes, with the published figure as a row of its own.

    Columns: task, n, answers, reference, kind, same, same_se, harder, harder_se (the task's score, its standard error).
    """
    tables = []
    for task in tasks:
        for n in task.sizes:
            table = closed_form_table(task, n, problems).rename(columns=lambda name: name.removeprefix("mse_"))
            if known := BEST_PUBLISHED.get((task.name, n)):
                method, same, harder = known
                published = {"reference": method, "kind": "published", "same": same, "harder": harder}
                table = pd.concat([table, pd.DataFrame([published])], ignore_index=True)
            tables.append(table.assign(task=task.name, n=n, answers=task.answers))
    columns = ["task", "n", "answers", "reference", "kind", "same", "same_se", "harder", "harder_se"]
    return pd.concat(tables, ignore_index=True)[columns]


def registered_tasks() -> list[Task]:
    """Every registered task, in the order of the registry."""
    return [get(name) for name in CHOICES["task"]]


def read_floors() -> pd.DataFrame:
    """The table of all registered tasks as it was last made."""
    return pd.read_csv(FLOORS_FILE)


def floors_markdown(table: pd.DataFrame) -> str:
    """The table in Markdown: scores with their standard errors."""
    lines = ["| task | n | answer without training | kind | same | harder |", "|---|---|---|---|---|---|"]
    for row in table.to_dict("records"):
        scores = [score_text(row[split], row[f"{split}_se"]) for split in ("same", "harder")]
        lines.append("| " + " | ".join([row["task"], str(row["n"]), row["reference"], row["kind"], *scores]) + " |")
    return "\n".join(lines)


def score_text(score: float, standard_error: float) -> str:
    """A score with three digits, and its standard error with one."""
    error = "" if pd.isna(standard_error) else f" ± {standard_error:.0e}"
    return f"{score:.3g}{error}" if pd.notna(score) else ""
