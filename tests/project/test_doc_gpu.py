"""The numbers of docs/benchmark/gpu.md are those of its JSON file and of the records in reports/h100."""

import json

import pytest
from doc_text import PROJECT, all_as_written, numbers, same_as_written, text_of

import anm

STRATEGIES = ("none", "random", "adversarial")


def tables() -> list[list[list[str]]]:
    """The cells of the rows of each table: targets, steps, errors."""
    text = text_of("docs/benchmark/gpu.md", "What one H100 gave")
    blocks = [block.splitlines()[2:] for block in text.split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in line.strip("| ").split(" | ")] for line in rows] for rows in blocks]


@pytest.fixture(scope="module")
def stages():
    return json.loads((PROJECT / "docs/benchmark/gpu.json").read_text())["stages"]


@pytest.fixture(scope="module")
def steps(stages):
    """(strategy, mode, precision, seeds) -> a measured step."""
    rows = stages["steps"]["rows"]
    return {(row["strategy"], row["mode"], row["precision"], row["seeds"]): row for row in rows}


def test_the_table_of_steps_is_measured(steps):
    rows = {row[0]: row[1:] for row in tables()[1]}
    assert set(rows) == set(STRATEGIES)
    for strategy, cells in rows.items():
        kinds = [("graph", "tf32", 10), ("graph", "float32", 10), ("graph", "bfloat16", 10), ("eager", "tf32", 10)]
        values = [steps[strategy, *kind]["step_ms"] for kind in [*kinds, ("graph", "tf32", 1)]]
        values.insert(1, steps[strategy, "graph", "tf32", 10]["floor_ms"])
        assert all_as_written(values, [number for cell in cells for number in numbers(cell)]), strategy


def test_the_targets_follow_from_the_measurements(steps, stages):
    said = [numbers(row[2]) for row in tables()[0]]
    ten = [steps[strategy, "graph", "tf32", 10] for strategy in STRATEGIES]
    one = [steps[strategy, "graph", "tf32", 1] for strategy in STRATEGIES]
    minutes = [1e5 * row["step_ms"] / 6e4 for row in ten]
    assert same_as_written(sum(minutes), said[0][0])
    assert same_as_written(sum(row["floor_ms"] for row in ten) / 0.6, said[0][1])
    assert same_as_written(minutes[2], said[1][0])
    shares = [100 * row["fraction_of_floor"] for row in ten]
    assert all_as_written([min(shares), max(shares)], said[2])
    assert all_as_written([a["step_ms"] / b["step_ms"] for a, b in zip(ten, one)], said[3])
    same, harder = (row for row in stages["pilot"]["rows"] if "log_ratio" in row)
    found = [100 * value for value in (same["log_ratio"], same["standard_error"], harder["log_ratio"])]
    assert all_as_written(found, said[4][:3])


def test_the_errors_are_those_of_the_records():
    rows = {row[0]: row[1:3] for row in tables()[2]}
    for place, strategy in enumerate(("none", "adversarial")):
        record = anm.read_run(PROJECT / "reports" / "h100" / f"{strategy}.ipynb")
        assert (record["params"]["train_steps"], record["params"]["batch_size"]) == (50_000, 2048)
        curves = record["curves"]
        expected = {f"MSE on `{split}`, per seed": record["results"][split]["mse"] for split in ("same", "harder")}
        expected |= {
            f"validation after {count} steps, per seed": curves["mse_same"][curves["mse_step"].index(steps)]
            for count, steps in (("6,250", 6_250), ("50,000", 50_000))
        }
        for name, values in expected.items():
            assert all_as_written(values, numbers(rows[name][place])), (name, strategy)
