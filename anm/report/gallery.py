"""Images of single answers, during solving and to the worst-conditioned problems."""

from functools import partial

import numpy as np

from anm.analysis.results import StudyResults
from anm.report.formatting import number
from anm.report.matrix_plots import error_images, matrix_images
from anm.report.page import Html, figure
from anm.study.plan import BASELINE

MOMENTS, REFINED = 7, 2  # images of an answer, and how many of them are after refinement; the exact inverse is the 8th
COLUMNS = 4


def forming(results: StudyResults) -> Html:
    """One answer while it is solved, and the size of its error, for each energy."""
    panels = []
    for energy, record in runs_with(results, "forming"):
        kept = record["results"]["forming"]
        exact, moments = matrix(kept["exact"]), kept["moments"]
        refined = [moment for moment in moments if moment["refine_steps"]]
        moments = choose(moments[: len(moments) - len(refined)], MOMENTS - min(REFINED, len(refined)))
        moments += choose(refined, REFINED)
        if not moments:
            continue
        errors = [matrix(moment["error"]) for moment in moments]
        names = [moment_name(moment) for moment in moments]
        errors_named = [f"{name}\nMSE {number(np.mean(error**2), 1)}" for name, error in zip(names, errors)]
        run = f"{results.prefix(energy)}{record['params']['strategy']}"
        answers = [exact + error for error in errors] + [exact]
        panels += [
            (f"{run}, the answer", partial(matrix_images, answers, [*names, "exact"], columns=COLUMNS)),
            (f"{run}, size of its error", partial(error_images, errors, errors_named, columns=COLUMNS)),
        ]
    return figure(
        "forming",
        panels,
        "One problem, of median condition number if the task has one, solved by the first seed: at the start, after "
        "some noise levels, and after refinement steps. Left: entries, red above zero and blue below; all "
        "images share one scale, the median of their largest entries. Right: absolute error of each entry, darker is "
        "larger; all images share one logarithmic scale.",
        alt="An answer changes from noise to the inverse, level by level.",
    )


def worst(results: StudyResults) -> Html:
    """The problems with the largest condition numbers, their answers and errors."""
    panels = []
    for energy, record in runs_with(results, "worst"):
        matrices, names = [], []
        for kept in record["results"]["worst"]:
            exact, error = matrix(kept["exact"]), matrix(kept["error"])
            matrices += [exact, exact + error, error]
            names += [f"condition {kept['condition']:,.0f}", "answer", f"error, MSE {number(np.mean(error**2), 2)}"]
        title = f"{results.prefix(energy)}{record['params']['strategy']}"
        panels.append((title, partial(matrix_images, matrices, names, columns=3, by_row=True)))
    return figure(
        "worst",
        panels,
        "The problems of harder with the largest condition numbers, one per row, each row on its own scale: the exact "
        "inverse, the answer of the first seed, and the error. An answer close to an average inverse misses the few "
        "large entries.",
        alt="Problems with large condition numbers: exact inverse, answer and error side by side.",
    )


def choose(parts: list, count: int) -> list:
    """So many of the parts at equal distances, with the first and the last."""
    places = np.unique(np.linspace(0, len(parts) - 1, count).round().astype(int))
    return [parts[place] for place in places] if parts else []


def runs_with(results: StudyResults, part: str) -> list[tuple[str, dict]]:
    """(energy, record) of one run per energy with this part; preferably the baseline's."""
    found = []
    for energy in results.energies:
        own = [record for record in results.records.values() if record["params"]["energy"] == energy]
        own = [record for record in own if record["results"].get(part)]
        own.sort(key=lambda record: record["params"]["strategy"] != BASELINE)
        found += [(energy, own[0])] if own else []
    return found


def moment_name(moment: dict) -> str:
    """The noise level or refinement step of a moment."""
    if moment["level"] is None:
        return "start"
    steps = moment["refine_steps"]
    return f"+ {steps} step{'s'[: steps > 1]}" if steps else f"level {moment['level']}"


def matrix(rows: list[list]) -> np.ndarray:
    """Null becomes NaN."""
    return np.array(rows, dtype=float)
