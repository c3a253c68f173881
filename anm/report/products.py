"""The section on energies that multiply matrices: errors by matrix products, other sizes and spectra.

Each function gives nothing if no run has such an energy.
"""

import math
from collections.abc import Iterator
from functools import partial

import pandas as pd

from anm.analysis import tidy_tables
from anm.analysis.results import StudyResults, of
from anm.records.schema import SPLITS
from anm.report import plots
from anm.report.comparison_tables import standard_refinement
from anm.report.formatting import count_cell, number, number_cell, range_text
from anm.report.page import Cell, Html, figure, paragraphs, table
from anm.report.run_tables import fingerprint_cell

KNOWS = {
    "bilinear": "bilinear does not contain the equation A X = I. It sees x only as the product A x.",
    "residual": "residual contains the equation A X = I. Its minimum is right by construction; training makes the "
    "descent to it fast.",
}
THRESHOLDS = (1e-3, 1e-6, 1e-9, 1e-12)  # errors on harder


def description(results: StudyResults) -> Html:
    """What each such energy knows of the task."""
    return paragraphs((KNOWS[energy] for energy in energies_with_products(results) if energy in KNOWS), "finding")


def error_ranges(results: StudyResults) -> Html:
    """Lowest and highest seed of every energy, strategy and feed-forward network."""
    if not energies_with_products(results):
        return Html("")
    columns = ["energy, strategy", "same", "harder", "harder, refined", "c = 0.02", "c = 0.02, refined", "seeds"]
    rows = [_range_row(results, energy, name) for energy in results.energies for name in results.strategies(energy)]
    for name, record in results.feed_forward.items():
        scores = {split: pd.Series(record["results"][split]["mse"], dtype=float) for split in SPLITS}
        label = f"feed-forward network with the layers of {record['layers']}, no energy"
        seeds = Cell(len(scores["same"]), title=fingerprint_cell(results, name).title)
        seconds = count_cell(record["provenance"]["train_seconds"])
        rows.append([label, *map(_range_cell, scores.values()), None, None, None, seeds, seconds])
    caption = "Errors of every energy: lowest to highest seed; refined: after the most refinement steps"
    return table(caption, [*columns, "training, seconds"], rows)


def products_needed(results: StudyResults) -> Html:
    """The matrix products that bring the error below a threshold."""
    found = [(energy, *row) for energy in energies_with_products(results) for row in thresholds(results, energy)]
    names, rows = tidy_tables.in_order(name for *_, own in found for name in own), []
    for energy, error, baseline, least, own in found:
        texts = {n: f"{value:.0f} ({number(value / least, 2)} ×)" if value else "never" for n, value in own.items()}
        method = plots.ITERATIVE_BASELINES[baseline]
        label = f"{energy}, error below {number(error, 1)}"
        rows.append([label, method, count_cell(least), *map(texts.get, names)])
    columns = ["energy, error on harder", "best iterative baseline", "its products", *names]
    caption = "Matrix products until every seed is below an error, and how many times those of the best baseline"
    return table(caption, columns, rows) if rows else Html("")


def error_by_products(results: StudyResults) -> Html:
    """MSE by matrix products, solvers and iterative baselines, both splits."""
    refined, baselines = tidy_tables.refinement(results.records).dropna(subset="products"), results.iterative
    panels = []
    for energy in energies_with_products(results):
        for split in SPLITS:
            rows = baselines[baselines["split"] == split]
            panels.append((f"{energy}: {split}", partial(plots.error_by_products, of(refined, energy, split), rows)))
    return figure(
        "products",
        panels,
        "Error by the number of n x n matrix products per answer, both axes logarithmic. Marks: solvers, with more "
        "refinement steps to the right; one line after the standard landscape steps, one without landscape steps. "
        "Bands: lowest to highest seed. Grey: baselines without training. Solid: Newton-Schulz from the best multiple "
        "of I, which needs the eigenvalues. Dashed: Newton-Schulz with coefficients fitted to the training problems. "
        "Dotted: conjugate gradients. Short bar: LU in float32, the limit.",
        alt="Error by matrix products, one line a strategy; iterative baselines in grey.",
    )


def other_problems(results: StudyResults) -> Html:
    """Errors on other sizes and other spectra than those of training."""
    sizes, spectra = tidy_tables.sizes(results.records), tidy_tables.spectrum_errors(results.records)
    panels = []
    for energy in energies_with_products(results):
        for split in SPLITS:
            own = of(sizes, energy, split)
            panels += [(f"{energy}: {split}, other sizes", partial(plots.error_by_size, own))] if len(own) else []
        own = of(spectra, energy)
        panels += [(f"{energy}: other spectra", partial(plots.error_by_spectrum, own))] if len(own) else []
    return figure(
        "generalization",
        panels,
        "Thin: as scored. Thick: after refinement steps. Sizes: error by n; the weights were trained at the smallest "
        "n. Spectra: squared error relative to the mean square of the answers, so that 1 is the error of answering "
        "zero. The number below a spectrum is its median condition number. Each mark is one seed.",
        alt="Error at other sizes and on other spectra, by strategy.",
    )


def seeds(results: StudyResults) -> Html:
    """Every seed of every such run, by refinement steps."""
    refined = standard_refinement(results)
    refined = refined[refined["energy"].isin(energies_with_products(results))]
    rows = []
    for (run, seed), own in refined.groupby(["run", "seed"], sort=False):
        for steps in sorted({0.0, 2.0, 10.0, own["refine_steps"].max()}):
            chosen = own[own["refine_steps"] == steps].drop_duplicates("split").set_index("split")
            if len(chosen):
                one, mse = chosen.iloc[0], chosen["mse"]
                scores = (number_cell(mse.get(split), 3) for split in (*SPLITS, "hardest"))
                where = [run, one["energy"], one["strategy"], seed, int(steps), count_cell(one["products"])]
                rows.append([*where, *scores, int(one["problems"])])
    columns = ["run", "energy", "strategy", "seed", "refinement steps", "products", *SPLITS, "c = 0.02"]
    columns += ["test problems"]
    return table("Error by refinement steps, every seed", columns, rows, fold=True) if rows else Html("")


def energies_with_products(results: StudyResults) -> list[str]:
    """The energies whose answers cost a known number of matrix products."""
    refined = tidy_tables.refinement(results.records).dropna(subset="products")
    return [energy for energy in results.energies if len(of(refined, energy))]


def thresholds(results: StudyResults, energy: str) -> Iterator[tuple[float, str, float, dict]]:
    """Each threshold on harder that some strategy and some iterative baseline reach.

    (error, best iterative baseline, its products, strategy -> products until every seed is below the error, or None)
    """
    own = of(tidy_tables.refinement(results.records), energy, "harder")
    own = own[own["products"] > 0].fillna({"mse": math.inf})  # a seed that diverged counts
    worst = own.groupby(["strategy", "products", "landscape_steps"], observed=True)["mse"].max().reset_index()
    methods = results.iterative
    methods = methods[(methods["split"] == "harder") & (methods["method"] != "lu_float32") & (methods["products"] > 0)]
    for error in THRESHOLDS:
        reached = worst[worst["mse"] <= error].groupby("strategy", observed=True)["products"].min().to_dict()
        others = methods[methods["mse"] <= error]
        if reached and len(others):
            best = others.loc[others["products"].idxmin()]
            ours = {name: reached.get(name) for name in tidy_tables.in_order(worst["strategy"])}
            yield error, str(best["method"]), float(best["products"]), ours


def _range_row(results: StudyResults, energy: str, strategy: str) -> list:
    """The row of an energy and strategy in `error_ranges`."""
    scores, refined = of(results.scores, energy), of(standard_refinement(results), energy)
    scores, refined = scores[scores["strategy"] == strategy], refined[refined["strategy"] == strategy]
    first, last = (refined[refined["refine_steps"] == steps] for steps in (0, refined["refine_steps"].max()))
    columns = [("same", scores), ("harder", scores), ("harder", last), ("hardest", first), ("hardest", last)]
    parts = [of(rows, energy, split)["mse"] for split, rows in columns]
    seconds = [results.records[run]["provenance"]["train_seconds"] for run in scores["run"].unique()]
    total = None if None in seconds else sum(seconds)
    return [f"{energy}, {strategy}", *map(_range_cell, parts), scores["seed"].nunique(), count_cell(total)]


def _range_cell(values: pd.Series) -> Cell | None:
    """Lowest to highest; says how many seeds have no finite score."""
    known, lost = values.dropna(), int(values.isna().sum())
    if values.empty:
        return None
    text = range_text(known.min(), known.max(), 2) if len(known) else "—"
    return Cell(f"{text}; {lost} not finite" if lost else text, sort=math.inf if lost else float(known.max()))
