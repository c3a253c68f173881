"""The results of `python -m anm.benchmark.gpu` in Markdown: targets, then a table of every stage."""

from collections.abc import Callable
from typing import Any

TEN, ONE = 10, 1  # seeds
FULL = {"seeds": 10, "steps": 100_000}  # of a run of the full study; a shorter one tells nothing about its time


def markdown(about: dict, stages: dict[str, dict]) -> str:
    """All results as one page of Markdown."""
    lines = ["# A GPU's results", "", ", ".join(f"{name}: {value}" for name, value in about.items()), ""]
    lines += [table(targets(stages)), ""] if about.get("gpu") else []
    for name, entry in stages.items():
        reasons = [f"{kind.capitalize()}: {entry[kind]}." for kind in ("skipped", "stopped", "failed") if kind in entry]
        lines += [f"## {name}", "", " ".join([f"{entry.get('seconds', 0):.0f} s.", *reasons]), ""]
        lines += [table(entry["rows"]), ""] if entry["rows"] else []
    return "\n".join(lines)


def table(rows: list[dict]) -> str:
    """Rows as a table in Markdown, with every name that a row has; nested values are left to the JSON."""
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if not nested(value)))
    cells = [[cell(row.get(name)) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [names, ["---"] * len(names), *cells])


def nested(value) -> bool:
    """Whether a value is a list or a mapping."""
    return isinstance(value, (list, dict))


def cell(value) -> str:
    """A value as the text of a cell: four digits of a number, nothing for None."""
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def targets(stages: dict[str, dict]) -> list[dict]:
    """What a GPU must reach, what was found, and whether that is enough; empty cells where it was not measured."""
    rows = {name: [row for row in entry["rows"] if "skipped" not in row] for name, entry in stages.items()}
    full = {row["strategy"]: row["seconds"] for row in rows.get("full", []) if FULL.items() <= row.items()}
    complete = full if len(full) == 3 else {}
    steps = [row for row in rows.get("steps", []) if row["precision"] == "tf32" and row["mode"] == "graph"]
    stacks = {seeds: {row["strategy"]: row for row in steps if row["seeds"] == seeds} for seeds in (TEN, ONE)}
    both = stacks[TEN].keys() & stacks[ONE].keys()
    growth = [stacks[TEN][name]["step_ms"] / stacks[ONE][name]["step_ms"] for name in both]
    pilot = [abs(row["log_ratio"]) for row in rows.get("pilot", []) if "log_ratio" in row]
    found: list[tuple[str, float | None, float, Callable]] = [
        ("full study in TF32, s", sum(complete.values()) or None, 900, at_most),
        ("full study, longest strategy, s", max(complete.values(), default=None), 600, at_most),
        (
            "share of the product floor",
            min((r["fraction_of_floor"] for r in stacks[TEN].values()), default=None),
            0.5,
            at_least,
        ),
        ("ten seeds against one, ratio", max(growth, default=None), 5, at_most),
        ("TF32 against float32, largest log ratio", max(pilot, default=None), 0.01, at_most),
        (
            "first step after start, s",
            max((r["seconds"] for r in rows.get("first step", [])), default=None),
            30,
            at_most,
        ),
    ]
    return [target(*each) for each in found]


def target(name: str, value: float | None, limit: float, reached: Callable) -> dict[str, Any]:
    """One row of `targets`."""
    enough = None if value is None else "yes" if reached(value, limit) else "no"
    return {
        "target": name,
        "limit": f"{reached.__name__.replace('_', ' ')} {limit:g}",
        "found": value,
        "reached": enough,
    }


def at_most(value: float, limit: float) -> bool:
    return value <= limit


def at_least(value: float, limit: float) -> bool:
    return value >= limit
