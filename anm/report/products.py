"""The report on energies that are made of matrix products: how far they leave the plateau, and at what price.

Empty where no run has such an energy.
"""

import math
from collections.abc import Iterator
from functools import partial

import pandas as pd

from anm import frames, plots
from anm.page import Cell, Html, figure, paragraphs, table
from anm.report.findings import BASELINE, SPLITS, Findings, seeds_of
from anm.report.numbers import THIN, capital, number, span
from anm.stats import MIN_SEEDS, geometric_ratio

SPLIT_NAMES = {"same": "same", "harder": "harder", "hardest": "c = 0.02"}
KNOWS = {
    "bilinear": "is not told the equation, but sees x only as the product A x",
    "residual": "is told the equation A X = I: its minimum is right by construction, and what it learns is how to get there fast",
}
MILESTONES = (1e-3, 1e-6, 1e-9, 1e-12)  # errors whose price in products is compared, on harder


def say(findings: Findings) -> Html:
    """What each such energy knows, what it reaches, and what that costs beside the best rival."""
    return paragraphs((text for energy in energies(findings) for text in _sentences(findings, energy)), "finding")


def prices(findings: Findings) -> Html:
    """MSE against matrix products, solvers and rivals, both difficulties."""
    thought, rivals = frames.thinking(findings.records).dropna(subset="products"), findings.rivals
    panels = [
        (
            f"{energy}: {split}",
            partial(
                plots.prices,
                thought[(thought["energy"] == energy) & (thought["split"] == split)],
                rivals[rivals["split"] == split],
            ),
        )
        for energy in energies(findings)
        for split in SPLITS
    ]
    return figure(
        "prices",
        panels,
        (
            "Error against the price of an answer, both logarithmic: n x n matrix products for each problem. Marks are solvers, thinking longer "
            "from left to right: one line after the standard landscape steps, one without any; bands reach from the lowest to the highest seed. "
            "Grey needs no training: Newton-Schulz from the best multiple of I, an oracle's (solid), and with its coefficients fitted to the "
            "problems of the training (dashed), conjugate gradients (dotted), and LU in float32, the limit (the short bar)."
        ),
        alt=" ".join(text for energy in energies(findings) for text in _sentences(findings, energy)),
    )


def elsewhere(findings: Findings) -> Html:
    """Other sizes and other spectra than those of training."""
    sizes, spectra = frames.sizes(findings.records), frames.spectra(findings.records)
    panels = []
    for energy in energies(findings):
        for split in SPLITS:
            mine = sizes[(sizes["energy"] == energy) & (sizes["split"] == split)]
            panels += [(f"{energy}: {split}, other sizes", partial(plots.sizes, mine))] if len(mine) else []
        mine = spectra[spectra["energy"] == energy]
        panels += [(f"{energy}: other spectra", partial(plots.spectra, mine))] if len(mine) else []
    return figure(
        "elsewhere",
        panels,
        (
            "Thin: as scored; thick: after thinking longer. Sizes: error by n; the weights were trained at the smallest. Spectra: squared error in "
            "units of the answers' own mean square, so that 1 is the error of answering with zero; the number below a name is the "
            "median condition number. Each mark is one seed."
        ),
        alt="Error at other sizes and on other spectra, by strategy.",
    )


def seeds(findings: Findings) -> Html:
    """Every seed of every such run: as scored, and after the longest thinking."""
    thought = _after_standard(findings)
    thought = thought[thought["energy"].isin(energies(findings))]
    columns = ["run", "energy", "strategy", "seed", "further steps", "products", *SPLIT_NAMES.values(), "test problems"]
    rows = []
    for (run, seed), mine in thought.groupby(["run", "seed"], sort=False):
        for steps in sorted({0.0, 2.0, 10.0, mine["refine_steps"].max()}):
            chosen = mine[mine["refine_steps"] == steps].drop_duplicates("split").set_index("split")
            if len(chosen):
                one = chosen.iloc[0]
                rows.append(
                    [
                        run,
                        one["energy"],
                        one["strategy"],
                        seed,
                        int(steps),
                        _products(one["products"]),
                        *(_score(chosen["mse"].get(split)) for split in SPLIT_NAMES),
                        int(one["problems"]),
                    ]
                )
    return table("Thinking longer, every seed", columns, rows, fold=True) if rows else Html("")


def reached(findings: Findings) -> Html:
    """Lowest and highest seed of every energy and strategy, and the direct network where there is one."""
    columns = [
        "energy, strategy",
        "same",
        "harder",
        "harder, thinking longer",
        "c = 0.02",
        "c = 0.02, thinking longer",
        "seeds",
        "training, seconds",
    ]
    rows = [
        _reached(findings, energy, strategy)
        for energy in findings.energies
        if energies(findings)
        for strategy in frames.in_order(findings.scores.loc[findings.scores["energy"] == energy, "strategy"])
    ]
    rows += [
        _direct(record, findings.fingerprints[name]) for name, record in findings.direct.items() if energies(findings)
    ]
    return table("What every energy reaches: lowest and highest seed", columns, rows) if rows else Html("")


def energies(findings: Findings) -> list[str]:
    """Those whose answers cost a known number of matrix products."""
    thought = frames.thinking(findings.records).dropna(subset="products")
    return [energy for energy in findings.energies if (thought["energy"] == energy).any()]


def milestones(findings: Findings, energy: str) -> Iterator[tuple[float, dict[str, float | None], str, float]]:
    """(error, strategy -> products of its cheapest setting with every seed below it or None, best rival, its products), on harder."""
    thought, rivals = frames.thinking(findings.records), findings.rivals
    mine = thought[(thought["energy"] == energy) & (thought["split"] == "harder")]
    mine = mine[mine["products"] > 0].fillna({"mse": math.inf})  # a seed that diverged counts
    worst = mine.groupby(["strategy", "products", "landscape_steps"], observed=True)["mse"].max().reset_index()
    iterations = rivals[(rivals["split"] == "harder") & (rivals["rival"] != "lu_float32") & (rivals["products"] > 0)]
    for error in MILESTONES:
        ours = worst[worst["mse"] <= error].groupby("strategy", observed=True)["products"].min().to_dict()
        theirs = iterations[iterations["mse"] <= error]
        if ours and len(theirs):
            best = theirs.loc[theirs["products"].idxmin()]
            yield (
                error,
                {name: ours.get(name) for name in frames.in_order(worst["strategy"])},
                str(best["rival"]),
                float(best["products"]),
            )


def _sentences(findings: Findings, energy: str) -> list[str]:
    found = [f"{energy} {KNOWS[energy]}."] if energy in KNOWS else []
    for error, ours, rival, theirs in list(milestones(findings, energy))[-1:]:
        needs = [
            f"{name} {f'{products:.0f} matrix products ({number(products / theirs, 2)} times as many)' if products else 'never gets there'}"
            for name, products in ours.items()
        ]
        found.append(
            f"To bring every seed's error on harder below {number(error, 1)}, the best rival ({plots.RIVALS[rival]}) needs {theirs:.0f} matrix "
            f"products; {energy}: {', '.join(needs)}."
        )
    return [capital(text) for text in found] + _thought(findings, energy)


def _thought(findings: Findings, energy: str) -> list[str]:
    """Whether a strategy is ahead of no mining after the longest thinking, on the hardest problems."""
    thought = _after_standard(findings)
    thought = thought[
        (thought["energy"] == energy)
        & (thought["split"] == "hardest")
        & (thought["refine_steps"] == thought["refine_steps"].max())
    ]
    scores = seeds_of(thought)
    rows = {name: geometric_ratio(scores, name, BASELINE) for name in scores if name != BASELINE and BASELINE in scores}
    texts = [
        f"{name} × {number(row['ratio'], 2)} (95{THIN}% interval {number(row['ci_low'], 2)} to {number(row['ci_high'], 2)}, p = {number(row['p'], 2)})"
        for name, row in rows.items()
        if row["n_seeds"] >= MIN_SEEDS
    ]
    return (
        [
            f"After {thought['refine_steps'].max():.0f} further steps on c = 0.02, errors of {energy} against those of {BASELINE} as ratios of geometric means, not declared "
            f"before and not corrected: {', '.join(texts)}."
        ]
        if texts
        else []
    )


def _reached(findings: Findings, energy: str, strategy: str) -> list:
    scores = findings.scores[(findings.scores["energy"] == energy) & (findings.scores["strategy"] == strategy)]
    thought = _after_standard(findings)
    thought = thought[(thought["energy"] == energy) & (thought["strategy"] == strategy)]
    longest, unthought = (
        thought[thought["refine_steps"] == thought["refine_steps"].max()],
        thought[thought["refine_steps"] == 0],
    )
    trained = [findings.records[run]["provenance"]["train_seconds"] for run in scores["run"].unique()]
    return [
        f"{energy}, {strategy}",
        *(_span(scores.loc[scores["split"] == split, "mse"]) for split in SPLITS),
        *(
            _span(rows.loc[rows["split"] == split, "mse"])
            for split, rows in (("harder", longest), ("hardest", unthought), ("hardest", longest))
        ),
        scores["seed"].nunique(),
        _seconds(None if None in trained else sum(trained)),
    ]


def _after_standard(findings: Findings) -> pd.DataFrame:
    """Thinking longer after each run's own landscape steps, not instead of them."""
    thought = frames.thinking(findings.records)
    standard = {run: record["params"].get("landscape_steps") for run, record in findings.records.items()}
    return thought[thought["landscape_steps"] == thought["run"].map(standard)]


def _direct(record: dict, fingerprint: str) -> list:
    return [
        f"the layers of {record['layers']} trained to answer at once, no energy",
        *(_span(pd.Series(record["results"][split]["mse"], dtype=float)) for split in SPLITS),
        None,
        None,
        None,
        Cell(len(record["results"]["same"]["mse"]), title=fingerprint),
        _seconds(record["provenance"]["train_seconds"]),
    ]


def _span(values: pd.Series) -> Cell | None:
    """Lowest to highest; a seed without a finite score is named, since it counts."""
    known, lost = values.dropna(), int(values.isna().sum())
    text = span(known.min(), known.max(), 2) if len(known) else "—"
    return (
        Cell(f"{text}; {lost} not finite" if lost else text, sort=math.inf if lost else float(known.max()))
        if len(values)
        else None
    )


def _seconds(value: float | None) -> Cell | None:
    return Cell(f"{value:,.0f}", sort=value) if value is not None else None


def _score(value) -> Cell | None:
    return Cell(number(value, 3), sort=value) if value is not None and value == value else None


def _products(value: float) -> Cell | None:
    return Cell(f"{value:.0f}", sort=value) if value == value else None
