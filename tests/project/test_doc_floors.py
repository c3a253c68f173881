"""What docs/tasks.md says about tasks and floors is the registry's and the stored floor table's."""

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from doc_text import PROJECT, all_as_written, numbers, same_as_written, table_rows, text_of

import anm
from anm.baselines.closed_form import closed_form_table
from anm.baselines.floors import floors_markdown, read_floors

# Of the classical answers, those in the table of docs/tasks.md; the stored table has more
CLASSICAL_SHOWN = {"newton_schulz_20", "zero-fill", "soft-impute", "Newton, 4 iterations", "squared once"}


def shown_floors() -> pd.DataFrame:
    """The rows of the stored floor table that docs/tasks.md shows: of least squares, the better on `same`."""
    floors = read_floors()
    best = floors[floors["kind"] == "least squares"].groupby(["task", "n"])["same"].idxmin()
    kept = floors["kind"].isin(["constant", "limit", "published"]) | floors["reference"].isin(CLASSICAL_SHOWN)
    return floors[kept | floors.index.isin(best)]


def test_the_floor_table_is_the_stored_one():
    (table,) = re.findall(r"^\| task \| n \|.*?(?=\n\n)", text_of("docs/tasks.md", "Floors"), re.MULTILINE | re.DOTALL)
    assert table == floors_markdown(shown_floors()), floors_markdown(shown_floors())
    assert {task: set(part["n"]) for task, part in shown_floors().groupby("task")} == {
        name: set(anm.tasks.get(name).sizes) for name in anm.registry.CHOICES["task"]
    }


@pytest.mark.parametrize("task, n", [("addition", 20), ("inverse", 4), ("square_root", 3), ("connectivity", 8)])
def test_the_stored_floors_are_what_is_computed_now(task, n):
    """The whole table takes minutes. Errors of rounding differ between machines."""
    stored = read_floors().query("task == @task and n == @n and kind != 'published'").set_index("reference")
    table = closed_form_table(anm.tasks.get(task), n, 4000).set_index("reference")
    assert list(table.index) == list(stored.index)
    for split in ("same", "harder"):
        for column in (split, f"{split}_se"):
            np.testing.assert_allclose(table[f"mse_{column}"], stored[column], rtol=1e-4, atol=1e-12)


def test_what_is_said_about_the_floors_is_the_table():
    said = " ".join(text_of("docs/tasks.md", "Floors").partition("### What the table shows")[2].split())
    floors = read_floors().set_index(["task", "n", "reference"])

    def both(task: str, n: int, reference: str) -> list[float]:
        return list(floors.loc[(task, n, reference), ["same", "harder"]])

    def percent_of_constant(task: str, n: int, reference: str) -> float:
        return 100 * both(task, n, reference)[0] / both(task, n, "constant")[0]

    assert max(both("addition", 20, "least squares")) < 1e-13
    zero_fill, mean = (np.array(both("completion", 20, name)) for name in ("zero-fill", "posterior mean"))
    written = numbers(re.search(r"Zero-fill, .*? less", said)[0])
    assert all_as_written([0, *zero_fill, *mean, *100 * (1 - mean / zero_fill)], written)
    written = numbers(re.search(r"Two fitted numbers score (.*?)\. So", said)[1])
    assert all_as_written(both("inverse", 20, "affine") + both("inverse", 20, "IRED"), written)
    (written,) = re.findall(r"the affine fit leaves (\S+) %", said)
    assert same_as_written(percent_of_constant("square_root", 3, "affine"), Decimal(written))
    room = re.search(r"leaves (\d+) % .*? `inverse` at n = 4 and (\d+) % at n = 6, (\d+) % for `connectivity` at n = 8 "
                     r"and (\d+) % for `square_root_many` at n = 3", said).groups()  # fmt: skip
    where = [("inverse", 4), ("inverse", 6), ("connectivity", 8), ("square_root_many", 3)]
    left = [percent_of_constant(*place, "least squares") for place in where]
    assert all_as_written(left, [Decimal(number) for number in room])


def test_the_table_of_tasks_is_the_registry():
    rows = {row[0].strip("`"): row[1:] for row in table_rows((PROJECT / "docs/tasks.md").read_text().split("\n## ")[0])}
    assert set(rows) == set(anm.registry.CHOICES["task"])
    for name, (_, right_answers, difficulty, score, *_) in rows.items():
        task = anm.tasks.get(name)
        same, harder = (f"{task.splits[split]:g}" for split in ("same", "harder"))
        assert (right_answers, score) == (task.answers, task.score)
        assert difficulty == f"{task.difficulty} = {same} / {harder}"
