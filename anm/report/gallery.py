"""Single answers to look at: one as it forms through the noise levels, and those to the worst-conditioned problems."""

from functools import partial

import numpy as np

from anm.page import Html, figure
from anm.report.findings import BASELINE, Findings
from anm.report.numbers import number
from anm.report.words import tag
from anm.tiles import error_tiles, tiles

SHOWN, FURTHER = (
    7,
    2,
)  # moments of a forming answer, and those of them after further steps; the exact inverse fills the eighth place
COLUMNS = 4


def forming(findings: Findings) -> Html:
    """One answer through the landscapes, an energy at a time: what it looks like, and what is wrong with it."""
    panels = []
    for energy, record in shown(findings, "forming"):
        kept = record["results"]["forming"]
        exact, moments = matrix(kept["exact"]), kept["moments"]
        further = [moment for moment in moments if moment["refine_steps"]]
        moments = spread(moments[: len(moments) - len(further)], SHOWN - min(FURTHER, len(further))) + spread(
            further, FURTHER
        )
        if not moments:
            continue
        errors = [matrix(moment["error"]) for moment in moments]
        names = [when(moment) for moment in moments]
        who = f"{tag(findings, energy)}{record['params']['strategy']}"
        panels.append(
            (
                f"{who}, the answer",
                partial(tiles, [exact + error for error in errors] + [exact], [*names, "exact"], columns=COLUMNS),
            )
        )
        panels.append(
            (
                f"{who}, size of its error",
                partial(
                    error_tiles,
                    errors,
                    [f"{name}\nMSE {number(mean_square(e), 1)}" for name, e in zip(names, errors)],
                    columns=COLUMNS,
                ),
            )
        )
    return figure(
        "forming",
        panels,
        (
            "One problem of median condition number, answered by the first seed: where sampling starts, after some of the noise levels from the "
            "noisiest to level 0, and after further steps of thinking. Left: entries, red above zero and blue below, on one scale, the tiles' typical largest entry. "
            "Right: how far each entry is off, darker is worse, on a logarithmic scale that all tiles share."
        ),
        alt="An answer goes from noise to the inverse, level by level.",
    )


def worst(findings: Findings) -> Html:
    """The problems of the largest condition number, and what the solvers make of them."""
    panels = []
    for energy, record in shown(findings, "worst"):
        matrices, names = [], []
        for kept in record["results"]["worst"]:
            exact, error = matrix(kept["exact"]), matrix(kept["error"])
            matrices += [exact, exact + error, error]
            names += [f"condition {kept['condition']:,.0f}", "answer", f"error, MSE {number(mean_square(error), 2)}"]
        panels.append(
            (
                f"{tag(findings, energy)}{record['params']['strategy']}",
                partial(tiles, matrices, names, columns=3, by_row=True),
            )
        )
    return figure(
        "worst",
        panels,
        (
            "The harder problems with the largest condition numbers, a row each on a scale of its own: the exact inverse (under its "
            "condition number), the answer of the first seed, and the difference. What a solver that knows only averages misses is the few large entries."
        ),
        alt="The worst-conditioned problems: exact inverse, answer and error side by side.",
    )


def spread(parts: list, count: int) -> list:
    """So many of the parts, evenly, the first and the last among them."""
    return (
        [parts[place] for place in np.unique(np.linspace(0, len(parts) - 1, count).round().astype(int))]
        if parts
        else []
    )


def shown(findings: Findings, part: str) -> list[tuple[str, dict]]:
    """(energy, record) of the run that stands for each energy: the baseline's where there is one."""
    found = []
    for energy in findings.energies:
        mine = [
            record
            for record in findings.records.values()
            if record["params"]["energy"] == energy and record["results"].get(part)
        ]
        mine.sort(key=lambda record: record["params"]["strategy"] != BASELINE)
        found += [(energy, mine[0])] if mine else []
    return found


def when(moment: dict) -> str:
    """When in solving a moment was."""
    if moment["level"] is None:
        return "start"
    steps = moment["refine_steps"]
    return f"+ {steps} step{'s'[: steps > 1]}" if steps else f"level {moment['level']}"


def matrix(rows: list[list]) -> np.ndarray:
    """Null becomes NaN."""
    return np.array(rows, dtype=float)


def mean_square(error: np.ndarray) -> float:
    return float(np.mean(error**2))
