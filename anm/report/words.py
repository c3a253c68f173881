"""What the numbers say, in sentences. No number here is typed: each comes from the findings."""

import math

import numpy as np
import pandas as pd

from anm import frames
from anm.references import IRED, PRIOR, PUBLISHED
from anm.report.findings import BASELINE, BEST, Findings, seeds_of, unequal
from anm.report.numbers import THIN, capital, counted, interval, number, percent, reach, span
from anm.stats import ALPHA, MARGIN, MIN_SEEDS, geometric_ratio, lowest_holm

SUBJECT = "adversarial"  # what the study asks about
PROBLEMS = {"same": "problems as in training", "harder": "harder problems"}
NEAR = 1.1  # within this factor of the affine fit counts as on its plateau
THEIRS = "mlp"  # the energy that the published figures are of
DECLARED = {
    "train_steps": 100_000,
    "batch_size": 2048,
    "seeds": 10,
    "test_problems": 20_000,
}  # before the runs, at n = 20
WIDE = 10.0  # seeds that span a larger factor are compared by ratios, too
ROUNDING = 2.0  # within this factor of LU in single precision counts as its limit


def scale(findings: Findings) -> str:
    """What was run, in one line: n, steps, batch, seeds, test problems, devices."""
    if not findings.records:
        return "No finished run."
    params = [record["params"] for record in findings.records.values()]
    seeds = findings.scores["seed"].nunique()
    return (
        f"Scale: n = {reach(p['n'] for p in params)}, {reach(p['train_steps'] for p in params)} training steps, "
        f"batch {reach(p['batch_size'] for p in params)}, {counted(seeds, 'seed')}, {reach(findings.scores['problems'])} "
        f"test problems a difficulty, {counted(len(params), 'run')} on {_devices(findings)}.{_short_of_declared(findings)}"
    )


def _short_of_declared(findings: Findings) -> str:
    """What the declared scale asks for and some run lacks."""
    lowest = {
        name: min(record["params"][name] for record in findings.records.values())
        for name in DECLARED
        if name != "seeds"
    }
    lowest["seeds"] = findings.scores.groupby(["energy", "strategy"], observed=True)["seed"].nunique().min()
    names = {
        "train_steps": "training steps",
        "batch_size": "a batch of",
        "seeds": "seeds",
        "test_problems": "test problems",
    }
    short = [
        f"{names[name]} {DECLARED[name]:,}" if name == "batch_size" else f"{DECLARED[name]:,} {names[name]}"
        for name in DECLARED
        if lowest[name] < DECLARED[name]
    ]
    return f" The declared scale is larger: {', '.join(short)}." if short else ""


def verdict(findings: Findings) -> str:
    """The answer in words: all energies together where there are several, then one line each."""
    each = [text for energy in findings.energies for text in answers(findings, energy)]
    return "\n".join([*in_short(findings), *each]) or "No answer yet: there is no finished run."


def answers(findings: Findings, energy: str) -> list[str]:
    """Whether mining helps with one energy, on problems as in training, one sentence a strategy."""
    return [answer(findings, energy, strategy) for strategy in subjects(findings)]


def subjects(findings: Findings) -> list[str]:
    """The strategies that the report is about: adversarial where it was asked for, else all but the baseline."""
    return [SUBJECT] if SUBJECT in findings.plan else [s for s in findings.plan if s != BASELINE]


def in_short(findings: Findings) -> list[str]:
    """The outcomes of all energies, a sentence for each strategy and difficulty; nothing where there is one energy."""
    found = []
    for strategy in subjects(findings) if len(findings.energies) > 1 else ():
        for split, problems in PROBLEMS.items():
            energies: dict[str, list[str]] = {}
            for energy in findings.energies:
                energies.setdefault(_in_a_word(findings, energy, strategy, split), []).append(energy)
            parts = [f"{word} with {' and '.join(names)}" for word, names in energies.items()]
            found.append(f"On {problems}, {strategy} mining {'; '.join(parts)}.")
    return found


def _in_a_word(findings: Findings, energy: str, strategy: str, split: str) -> str:
    """A comparison's outcome as what the strategy does; where a difference was shown, with its size."""
    row = difference(findings, energy, strategy, split)
    if row is None or not row["claim"] or unequal(findings, energy):
        return "has no answer yet"
    if split == "same" and rounding(findings, energy):
        return "cannot be told from rounding"
    if row["significant"]:
        return f"{_judgement(row)} ({percent(row['relative'])})"
    return _judgement(row).partition(":")[0]


def answer(findings: Findings, energy: str, strategy: str, split: str = "same") -> str:
    """Whether a strategy helps against no mining, for one energy and difficulty."""
    row = difference(findings, energy, strategy, split)
    who, place = f"{strategy} mining", f"with the {energy} energy"
    if row is None:
        return f"No answer yet {place}: {_lacking(findings, energy, strategy)}."
    effect = f"MSE on {PROBLEMS[split]} {interval(row)} against no mining"
    if unequal(findings, energy):
        return f"No claim: the runs {place} differ in more than their strategy. {capital(who)}: {effect}."
    if not row["claim"]:
        return (
            f"No claim yet {place}: {counted(int(row['n_seeds']), 'paired seed')}, and a claim needs {MIN_SEEDS}. "
            f"So far, {who}: {effect}."
        )
    if split == "same" and (why := rounding(findings, energy)):
        return f"{capital(place)}, {PROBLEMS[split]} cannot tell: {why}"
    return f"{capital(place)}, {who} {_judgement(row)}: {effect}.{_powerless(findings, row)}"


def _powerless(findings: Findings, row) -> str:
    """Says so where the exact test could not have shown any difference, however large, after correction."""
    table = findings.comparison
    family = table[(table["energy"] == row["energy"]) & (table["split"] == row["split"]) & table["p"].notna()]
    lowest = lowest_holm(family["p"].to_numpy(float), family["n_seeds"].to_numpy())[family.index.get_loc(row.name)]
    if row["significant"] or lowest < ALPHA:
        return ""
    return (
        f" {counted(int(row['n_seeds']), 'seed')} cannot show a difference here: after correction for {counted(len(family), 'pair')} "
        f"p is {number(lowest, 2)} at least."
    )


def brief(findings: Findings, energy: str, strategy: str, against: str, split: str) -> str:
    """One comparison in a line; nothing where no seed is shared."""
    row = difference(findings, energy, strategy, split, against)
    if row is None:
        return ""
    claim = row["claim"] and not unequal(findings, energy)
    better = _better(findings, energy, strategy, against, split)
    return f"{capital(strategy)} against {against}, {PROBLEMS[split]}: {interval(row)}; {better}; {_outcome(row) if claim else 'no claim'}."


def _better(findings: Findings, energy: str, strategy: str, against: str, split: str) -> str:
    """In how many of the paired seeds a strategy has the lower error."""
    scores = seeds_of(findings.scores[(findings.scores["energy"] == energy) & (findings.scores["split"] == split)])
    mine, others = scores[strategy], scores[against]
    shared = mine.keys() & others.keys()
    return f"better in {sum(mine[seed] < others[seed] for seed in shared)} of {counted(len(shared), 'seed')}"


def difference(findings: Findings, energy: str, strategy: str, split: str, against: str = BASELINE):
    """The row of the comparison, or None where no seed is shared."""
    table = findings.comparison
    if "strategy" not in table:
        return None
    rows = table[
        (table["energy"] == energy)
        & (table["split"] == split)
        & (table["strategy"] == strategy)
        & (table["against"] == against)
        & (table["n_seeds"] > 0)
    ]
    return None if rows.empty else rows.iloc[0]


def details(findings: Findings, energy: str) -> list[str]:
    """What goes with the verdict on an energy, one sentence each: the plateau, the control, harder problems, the cost."""
    asked = subjects(findings)
    controls = [s for s in findings.plan if s not in (BASELINE, *asked)]
    found = [plateau(findings, energy)]
    for split in PROBLEMS:
        found += [brief(findings, energy, control, BASELINE, split) for control in controls]
        found += [brief(findings, energy, subject, BASELINE, split) for subject in asked if split != "same"]
        found += [brief(findings, energy, subject, control, split) for subject in asked for control in controls]
    found += [*ratios(findings, energy), cost(findings, energy), *at_equal_cost(findings, energy)]
    return [text for text in found if text]


def plateau(findings: Findings, energy: str) -> str:
    """Where the strategies stand beside the affine fit of two numbers and the constant answer."""
    means = summary(findings, energy, "same")
    affine, constant = (reference(findings, name, "same", energy) for name in ("affine", "constant"))
    if means.empty or not affine > 0:
        return ""
    best = means.loc[means["mean"].idxmin()]
    ratio, fit = best["mean"] / affine, f"an affine fit of two numbers ({number(affine)})"
    beside = f"The best mean, {number(best['mean'])} ({best['strategy']}), is"
    if best["mean"] > constant:
        return f"{beside} worse than answering with the mean inverse whatever the problem ({number(constant)}): training has barely begun."
    if ratio > NEAR:
        return f"{beside} {number(ratio, 2)} times the error of {fit}: not trained far enough to reach even that."
    if best["mean"] == 0:
        return f"The best mean is no error at all ({best['strategy']})."
    if ratio > 1 / NEAR:
        far = max(abs(mean / affine - 1) for mean in means["mean"])
        tail = f", the others within {percent(far, sign=False)}" if len(means) > 1 and far < NEAR - 1 else ""
        return (
            f"{beside} within {percent(abs(ratio - 1), sign=False)} of {fit}{tail}. "
            "On that plateau a difference says little about mining."
        )
    return f"{beside} {number(1 / ratio, 2)} times lower than {fit}."


def ratios(findings: Findings, energy: str) -> list[str]:
    """Where seeds span decades, so that a mean is that of its worst seeds: ratios of geometric means against no mining."""
    found = []
    for split in PROBLEMS if not unequal(findings, energy) else ():
        scores = seeds_of(findings.scores[(findings.scores["energy"] == energy) & (findings.scores["split"] == split)])
        base = [mse for mse in scores.get(BASELINE, {}).values() if mse > 0]
        if len(base) < MIN_SEEDS or max(base) < WIDE * min(base):
            continue
        rows = {name: geometric_ratio(scores, name, BASELINE) for name in scores if name != BASELINE}
        texts = [
            f"{name} × {number(row['ratio'], 2)} (95{THIN}% interval {number(row['ci_low'], 2)} to {number(row['ci_high'], 2)}, p = {number(row['p'], 2)}, {counted(row['n_seeds'], 'seed')})"
            for name, row in rows.items()
            if row["n_seeds"] >= MIN_SEEDS
        ]
        if texts:
            found.append(
                f"Seeds of {BASELINE} span {span(min(base), max(base), 2)} on {PROBLEMS[split]}, so that a mean is that of its worst seeds. "
                f"As ratios of geometric means against {BASELINE}, which were not declared before and are not corrected: {', '.join(texts)}."
            )
    return found


def rounding(findings: Findings, energy: str) -> str:
    """Says so where the errors are those of single precision."""
    means, rivals = summary(findings, energy, "same"), findings.rivals
    limit = rivals.loc[(rivals["rival"] == "lu_float32") & (rivals["split"] == "same"), "mse"]
    if means.empty or limit.empty or not means["mean"].max() < ROUNDING * limit.iloc[0]:
        return ""
    return (
        f"every mean, {span(means['mean'].min(), means['mean'].max(), 3)}, is at the limit of single precision (LU in float32: "
        f"{number(limit.iloc[0], 1)}): a difference between strategies there is one of rounding."
    )


def prices(findings: Findings, energy: str) -> dict[str, float]:
    """Strategy -> what its training step costs in steps of none; empty where not all did steps of the same size on the same machine."""
    rows = findings.scores[findings.scores["energy"] == energy]
    steps = rows.groupby("strategy", observed=True)["seconds_per_step"].mean().to_dict()
    sizes = rows.groupby("run").agg(
        seeds=("seed", "nunique"), **{name: (name, "first") for name in ("n", "batch_size", "noise_levels")}
    )
    if _machines(findings, energy) != 1 or len(sizes.drop_duplicates()) != 1 or not steps.get(BASELINE, 0) > 0:
        return {}
    return {name: price / steps[BASELINE] for name, price in steps.items() if price > 0}


def cost(findings: Findings, energy: str) -> str:
    """What a step of each strategy costs beside a step of none."""
    ratios = [f"{name} {number(price, 2)}" for name, price in prices(findings, energy).items() if name != BASELINE]
    return f"A training step costs, in steps of {BASELINE}: {', '.join(ratios)}." if ratios else ""


def at_equal_cost(findings: Findings, energy: str) -> list[str]:
    """Where each strategy stands once it has cost as much as none's whole training, by its learning curve."""
    curves = frames.learning(findings.records).dropna(subset="mse")
    curves = curves[curves["energy"] == energy]
    base = curves[curves["strategy"] == BASELINE]
    ends = base[base["step"] == base["step"].max()].set_index("seed")["mse"]
    found = []
    for name, price in prices(findings, energy).items():
        mine = curves[curves["strategy"] == name]
        afford = base["step"].max() / price
        if name == BASELINE or price <= 1 or mine.empty or unequal(findings, energy) or afford < mine["step"].min():
            continue
        then = mine.groupby("seed")[["step", "mse"]].apply(lambda curve: np.interp(afford, curve["step"], curve["mse"]))
        shared = then.index.intersection(ends.index)
        if len(shared):
            found.append(
                f"For the price of all steps of {BASELINE}, {name} takes {afford:,.0f}; its error on the problems of the learning curve is then "
                f"{percent(then[shared].mean() / ends[shared].mean() - 1)} against {BASELINE}'s at the end, and lower in "
                f"{int((then[shared] < ends[shared]).sum())} of {counted(len(shared), 'seed')}."
            )
    return found


def reproduced(findings: Findings) -> list[str]:
    """How the energy of the prior work compares here with what was published of it, one sentence a source."""
    prior = {p.method: p.mse_same for p in PUBLISHED if p.source == PRIOR}
    found, base = [], prior[BASELINE]
    here = {name: difference(findings, THEIRS, name, "same") for name in prior if name != BASELINE}
    here = {name: row for name, row in here.items() if row is not None}
    if not findings.published or not here:
        return []
    theirs = ", ".join(f"{name} {percent(prior[name] / base - 1)}" for name in here)
    ours = ", ".join(f"{name} {interval(row)}" for name, row in here.items())
    agree = [name for name, row in here.items() if (row["relative"] > 0) == (prior[name] > base)]
    direction = (
        "the same direction"
        if len(agree) == len(here)
        else f"the same direction for {' and '.join(agree)} alone"
        if agree
        else "the other direction"
    )
    steps = max(
        record["params"]["train_steps"] for record in findings.records.values() if record["params"]["energy"] == THEIRS
    )
    found.append(
        f"The prior study, after 100,000 steps, had these differences from {BASELINE} on same: {theirs}; each score on fresh problems of its own, "
        f"whose sampling error is about as large. Here, after {steps:,} steps, in {direction}: {ours}."
    )
    with_, without = BEST, next(p for p in PUBLISHED if p.source == IRED and "without" in p.method)
    rows = {split: difference(findings, THEIRS, SUBJECT, split) for split in PROBLEMS}
    if all(row is not None for row in rows.values()):
        there = ", ".join(
            f"{split} {percent(getattr(with_, f'mse_{split}') / getattr(without, f'mse_{split}') - 1)}"
            for split in rows
        )
        ours = ", ".join(f"{split} {interval(row)}" for split, row in rows.items())
        found.append(
            f"IRED reports a gain by contrast with mined negatives ({there}), from one training each and without an interval; here: {ours}."
        )
    return found


def summary(findings: Findings, energy: str, split: str) -> pd.DataFrame:
    """Rows of the summary for one energy and split."""
    table = findings.summary
    return table[(table["energy"] == energy) & (table["split"] == split)] if len(table) else table


def reference(findings: Findings, name: str, split: str, energy: str) -> float:
    """A reference's MSE on the problems of an energy's runs (`published`: the best published figure); NaN where there is none."""
    if name == "published":
        return getattr(findings.published, f"mse_{split}", math.nan)
    table = findings.references[findings.references["energy"] == energy].set_index("reference")
    return float(table.loc[name, f"mse_{split}"]) if name in table.index else math.nan


def tag(findings: Findings, energy: str) -> str:
    """ "<energy>: " where the report has several energies."""
    return f"{energy}: " if len(findings.energies) > 1 else ""


def _outcome(row) -> str:
    """A comparison's outcome in a few words."""
    if row["equivalent"]:
        return "there, but too small to matter" if row["significant"] else "no difference that matters"
    return ("better" if row["mean_difference"] < 0 else "worse") if row["significant"] else "undecided"


def _judgement(row) -> str:
    direction = "helps" if row["mean_difference"] < 0 else "hurts"
    if row["significant"] and row["equivalent"]:
        return f"{direction}, but by less than matters (within ±{100 * MARGIN:g}{THIN}%)"
    if row["equivalent"]:
        return f"makes no difference that matters (within ±{100 * MARGIN:g}{THIN}%)"
    if row["significant"]:
        return direction
    return "leaves the question open: neither a difference nor its absence is shown"


def _lacking(findings: Findings, energy: str, strategy: str) -> str:
    have = set(findings.scores.loc[findings.scores["energy"] == energy, "strategy"])
    lacking = [s for s in (BASELINE, strategy) if s not in have]
    split = [s for s in lacking if any(name.startswith(f"{s} (") for name in have)]
    if split:
        return f"the runs of {' and of '.join(split)} differ in their settings"
    return (
        f"there is no run of {' or of '.join(lacking)}"
        if lacking
        else f"{strategy} and {BASELINE} share no seed with a score"
    )


def _devices(findings: Findings) -> str:
    names = {
        (record["provenance"]["machine"].get("gpu") or record["provenance"]["machine"].get("cpu") or "?")
        for record in findings.records.values()
    }
    return ", ".join(sorted(names))


def _machines(findings: Findings, energy: str) -> int:
    return len(
        {
            (record["provenance"]["device"], str(record["provenance"]["machine"]))
            for record in findings.records.values()
            if record["params"]["energy"] == energy
        }
    )
