"""The report's figures: which panels, what to see in them, and what to say to a reader who cannot see them."""

from functools import partial
from math import isfinite, nan

import pandas as pd

from anm import frames, plots
from anm.page import Html, figure, html
from anm.report.findings import BASELINE, SPLITS, Findings
from anm.report.numbers import interval, number
from anm.report.words import reference, summary, tag
from anm.stats import MARGIN

LINES = ("constant", "affine", "published")


def headline(findings: Findings) -> Html:
    """MSE of every seed, both difficulties, with the reference lines; all energies in one panel."""
    draw = plots.overview if len(findings.energies) > 1 else plots.seed_points
    most = max(findings.energies, key=findings.problems, default="")  # whose reference lines are the most certain
    panels = [
        (_title(findings, "", split), partial(draw, rows.dropna(subset="mse"), lines(findings, split, most)))
        for split in SPLITS
        for rows in [findings.scores[findings.scores["split"] == split]]
        if len(rows)
    ]
    return figure(
        "headline",
        panels,
        caption=(
            "Each mark is one seed; lower is better. Look at where the marks lie against the lines: what a constant "
            "answer, an affine fit of two numbers and the best published network reach on the same task."
        ),
        alt=_means(findings),
    )


def seeds(findings: Findings) -> Html:
    """MSE of every seed, an energy at a time; nothing where the headline shows that already."""
    if len(findings.energies) < 2:
        return Html("")
    panels = [
        (_title(findings, energy, split), partial(plots.seed_points, rows.dropna(subset="mse")))
        for energy in findings.energies
        for split in SPLITS
        for rows in [_of(findings.scores, energy, split)]
    ]
    return figure(
        "seeds",
        panels,
        caption=(
            "The same scores, each energy on an axis of its own, so that the strategies can be told apart. Each mark is one "
            "seed, each bar the mean of its strategy."
        ),
        alt=_means(findings),
    )


def differences(findings: Findings) -> Html:
    """Per-seed differences from no mining, with interval and equivalence band."""
    panels = [
        (_title(findings, energy, split), partial(plots.paired_differences, pairs, rows, 100 * MARGIN))
        for energy in findings.energies
        for split in SPLITS
        for pairs, rows in [paired(findings, energy, split)]
    ]
    return figure(
        "differences",
        panels,
        caption=html(
            "Difference of each seed from the run without mining at the same seed, which saw the same weights, problems and "
            "noise, in percent of the mean of none. The thick line is the 95 % interval of the mean; over so few seeds it is too narrow, so that a line that "
            "clears zero is a hint and the tests below decide. The shaded band: differences too small to matter."
        ),
        alt=_effects(findings),
    )


def learning(findings: Findings) -> Html:
    """Learning curves and the loss."""
    curves, losses = frames.learning(findings.records), frames.losses(findings.records)
    panels = []
    for energy in findings.energies:
        panels.append(
            (
                _title(findings, energy, "error"),
                partial(plots.learning_curves, _of(curves, energy), lines(findings, "same", energy)),
            )
        )
        panels.append(
            (_title(findings, energy, "denoising loss"), partial(plots.loss_curves, _of(losses, energy), "denoise"))
        )
    return figure(
        "learning",
        panels,
        caption=(
            "Left: error of the averaged weights on a small frozen set while training goes on; lines are means over seeds, "
            "bands reach from the lowest to the highest seed. See whether the curves have levelled off, and whether they "
            "part. Right: the denoising loss, the share of the loss that every strategy has."
        ),
        alt="Error and denoising loss fall with the training step, one line a strategy.",
    )


def thinking(findings: Findings) -> Html:
    """MSE against landscape steps at test time."""
    table = frames.landscape_steps(findings.records)
    panels = [
        (
            _title(findings, energy, split),
            partial(plots.landscape_steps, _of(table, energy, split), lines(findings, split, energy)),
        )
        for energy in findings.energies
        for split in SPLITS
    ]
    return figure(
        "thinking",
        panels,
        caption=(
            "Error by the number of landscape steps a noise level when solving. A line that falls: the energy's landscape "
            "leads towards the answer, and more steps buy accuracy. A line that is flat or rises: they do not."
        ),
        alt="Error by landscape steps a noise level, one line a strategy.",
    )


def conditions(findings: Findings) -> Html:
    """MSE against the condition number."""
    table = frames.conditions(findings.records)
    panels = [
        (
            _title(findings, energy, split),
            partial(plots.conditions, _of(table, energy, split), lines(findings, split, energy)),
        )
        for energy in findings.energies
        for split in SPLITS
    ]
    return figure(
        "conditions",
        panels,
        caption=(
            "Error by the condition number of the problem, both axes logarithmic. The steeper the line, the more the mean "
            "is made by the few worst problems. The reference lines are means over all problems."
        ),
        alt="Error rises with the condition number, one line a strategy.",
    )


def ladder(findings: Findings) -> Html:
    """MSE at each rung of the difficulty ladder."""
    table, offsets = frames.ladder(findings.records), _offsets(findings)
    panels = []
    for energy in findings.energies:
        on = {split: lines(findings, split, energy) for split in SPLITS}
        known = {name: {offsets[split]: on[split][name] for split in SPLITS if name in on[split]} for name in LINES}
        panels.append((_title(findings, energy, "the ladder"), partial(plots.ladder, _of(table, energy), known)))
    return figure(
        "ladder",
        panels,
        caption=(
            "Error as problems get harder to the right: the offset c keeps the eigenvalues of A away from zero, and the "
            "networks saw the largest c alone. Grey marks: the references where they are known."
        ),
        alt="Error by difficulty, one line a strategy.",
    )


def solving(findings: Findings) -> Html:
    """Energy and acceptance by noise level while solving."""
    table = frames.solving(findings.records)
    panels = []
    for energy in findings.energies:
        panels.append((_title(findings, energy, "energy"), partial(plots.energies, _of(table, energy))))
        panels.append((_title(findings, energy, "acceptance"), partial(plots.acceptance, _of(table, energy))))
    return figure(
        "solving",
        panels,
        caption=(
            "Solving goes from the noisiest level on the left to level 0 on the right. Left: energy when a level is entered "
            "(thin) and after its landscape steps (thick); the gap is what the steps gained. Right: the share of steps "
            "that lowered the energy and so were kept."
        ),
        alt="Energy before and after the landscape steps and share of accepted steps, by noise level.",
    )


def mining(findings: Findings) -> Html:
    """What the miners made, by noise level and over training."""
    table, history = frames.mining(findings.records), frames.mining_history(findings.records)
    titles = {
        "contrast": "contrastive loss",
        "gap": "how wrong, by energy",
        "distance": "how far",
        "false": "in fact right",
    }
    panels = [
        (_title(findings, energy, f"{title}{when}"), partial(draw, _of(rows, energy), quantity))
        for energy in findings.energies
        for quantity, title in titles.items()
        for draw, rows, when in ((plots.mined, table, ""), (plots.mined_over_training, history, ", over training"))
    ]
    return figure(
        "mining",
        panels,
        caption=(
            "The negatives, on one side by noise level in the last quarter of training, on the other over all of training. First: the contrastive loss; "
            "at ln 2 = 0.69 negatives and answers are not told apart, near zero there is nothing left to learn from them. Second: how "
            "much higher than the answer's their energy is; a hard negative lies near zero. Third: how far from the answer "
            "they are. A negative that is near and low teaches something that noise does not; one at a distance is told "
            "apart at once. Fourth: the share that are no negatives, because they solve the problem (residual below the setting "
            "false_negative_residual, or below 0.1 where that is off)."
        ),
        alt="Contrastive loss, energy gap, distance and share of false negatives, by noise level and over training, one line a strategy that has negatives.",
    )


def lines(findings: Findings, split: str, energy: str) -> dict[str, float]:
    """The reference lines of an energy's figure: name -> MSE, those that are known."""
    known = {name: reference(findings, name, split, energy) for name in LINES}
    return {name: value for name, value in known.items() if isfinite(value)}


def paired(findings: Findings, energy: str, split: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Per-seed differences from the baseline (strategy, seed, run, percent) and the comparison, in percent of it."""
    rows = _of(findings.scores, energy, split).dropna(subset="mse")
    base = rows[rows["strategy"] == BASELINE].set_index("seed")["mse"]
    pairs = rows[(rows["strategy"] != BASELINE) & rows["seed"].isin(base.index)]
    unit = base.mean() / 100 or nan
    pairs = pairs.assign(percent=(pairs["mse"] - pairs["seed"].map(base)) / unit)
    found = findings.comparison
    if "against" not in found:
        return pairs, pd.DataFrame(columns=["strategy", "percent", "low", "high"])
    found = _of(found, energy, split)
    found = found[(found["against"] == BASELINE) & (found["n_seeds"] > 0)]
    return pairs, found.assign(
        strategy=found["strategy"].astype(rows["strategy"].dtype),
        percent=found["mean_difference"] / unit,
        low=found["ci_low"] / unit,
        high=found["ci_high"] / unit,
    )


def _of(table: pd.DataFrame, energy: str, split: str | None = None) -> pd.DataFrame:
    """The rows of one energy, and of one split where given."""
    rows = table[table["energy"] == energy]
    return rows if split is None else rows[rows["split"] == split]


def _title(findings: Findings, energy: str, what: str) -> str:
    """A panel's title: energy, where there are several, and difficulty or what is shown."""
    offset = f", c = {_offsets(findings)[what]:g}" if what in _offsets(findings) else ""
    return f"{tag(findings, energy) if energy else ''}{what}{offset}"


def _offsets(findings: Findings) -> dict[str, float]:
    return findings.scores.groupby("split")["offset"].first().to_dict()


def _means(findings: Findings) -> str:
    """The means of every strategy as a sentence."""
    parts = [
        f"{energy} {split}: {row['strategy']} {number(row['mean'])}"
        for energy in findings.energies
        for split in SPLITS
        for _, row in summary(findings, energy, split).iterrows()
    ]
    return f"Mean MSE by strategy. {'; '.join(parts)}."


def _effects(findings: Findings) -> str:
    """Every difference from the baseline as a sentence."""
    table = findings.comparison
    rows = table[table["against"] == BASELINE] if "against" in table else table
    return "; ".join(f"{row['energy']} {row['split']}: {row['strategy']} {interval(row)}" for _, row in rows.iterrows())
