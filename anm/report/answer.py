"""The first screen of the page: scale, answer and gaps."""

from anm.analysis.gaps import missing, unequal
from anm.analysis.results import StudyResults, of
from anm.analysis.statistics import ALPHA, MARGIN, MIN_SEEDS, lowest_holm
from anm.analysis.training_time import step_costs
from anm.report.formatting import THIN, counted, format_range, interval, number, percent, range_text, shares
from anm.report.page import Html, html, items, paragraphs
from anm.study.plan import BASELINE

PROBLEMS = {"same": "problems as in training", "harder": "harder problems"}
# The scale that was declared before the runs, at n = 20: setting -> (value, how it is written).
DECLARED_SCALE = {
    "train_steps": (100_000, "{:,} training steps"),
    "batch_size": (2048, "batches of {:,}"),
    "seeds": (10, "{:,} seeds"),
    "test_problems": (20_000, "{:,} test problems"),
}
ROUNDING = 2.0  # mean errors within this factor of LU in single precision are at its limit
PLATEAU = 1.1  # a mean error within this factor of the affine fit is on its plateau

EVIDENCE = "({interval}, {p}, lower in {lower} of {seeds}){cost}."
EFFECT = "With {energy}, {strategy} mining {verb} the error on {problems} by {size}"
CHANGE = "with {energy}, {strategy} mining changes the error on {problems} by {difference}"
SENTENCES = {
    "lower": f"{EFFECT} {EVIDENCE}",
    "higher": f"{EFFECT} {EVIDENCE}",
    "lower, small": f"{EFFECT}, less than the margin of {{margin}} {EVIDENCE}",
    "higher, small": f"{EFFECT}, less than the margin of {{margin}} {EVIDENCE}",
    "equivalent": f"Equivalent within the margin of {{margin}}: {CHANGE} {EVIDENCE}",
    "inconclusive": f"Inconclusive: {CHANGE} {EVIDENCE}{{power}}",
    "no claim": f"No claim with fewer than {MIN_SEEDS} seeds: {CHANGE} {EVIDENCE}",
    "unequal": f"No claim, because the runs differ in more than their strategy: {CHANGE} {EVIDENCE}",
    "gate": "No claim: with {energy}, this regime cannot tell strategies apart. {gate}",
    "rounding": "No claim: with {energy}, all mean errors on {problems} ({means}) are at the limit of single precision "
    "(LU in float32: {limit}).",
    "missing": "No answer yet with {energy}: {reason}.",
}
# How the first screen names the results that are no claim, if there are several energies.
SHORT = {
    "inconclusive": "Inconclusive on {problems}: {energies}.",
    "no claim": f"No claim with fewer than {MIN_SEEDS} seeds on {{problems}}: {{energies}}.",
    "unequal": "No claim because of unequal settings on {problems}: {energies}.",
    "gate": "No claim on {problems}, because the gate fails: {energies}.",
    "rounding": "No claim on {problems}, at the limit of single precision: {energies}.",
    "missing": "No answer yet on {problems}: {energies}.",
}


def first_screen(results: StudyResults) -> Html:
    """Scale and answer, and a notice if there are gaps or refused notebooks."""
    gaps, refused = len(missing(results)), len(results.refused)
    counts = [f"{counted(refused, 'notebook')} refused"] * (refused > 0) + [counted(gaps, "gap")] * (gaps > 0)
    notice = html('<p class="notice">{}: <a href="#what-is-missing">what is missing</a></p>', ", ".join(counts))
    answer = short_answer(results) if len(results.energies) > 1 else verdict(results).split("\n")
    parts = [paragraphs([scale(results), *gates(results)], "scale"), paragraphs(answer, "verdict")]
    parts += [notice] * bool(counts)
    return Html("\n").join(parts)


def gates(results: StudyResults) -> list[str]:
    """A sentence for each energy: whether its runs can tell strategies apart."""
    found = {energy: results.gate(energy) for energy in results.energies}
    return [f"{results.prefix(energy)}Gate: {gate.sentence}".replace("`", "") for energy, gate in found.items() if gate]


def details(results: StudyResults) -> Html:
    """The whole answer, and the best errors against the affine fit."""
    lines = verdict(results).split("\n") if len(results.energies) > 1 else []
    return items([*lines, *(text for energy in results.energies for text in distances(results, energy))], "findings")


def short_answer(results: StudyResults) -> list[str]:
    """The sentences that make a claim, then the other results in one paragraph."""
    claims, others = [], {}
    for case in _cases(results):
        energy, strategy, split = case
        if (kind := result(results, *case)) in SHORT:
            name = energy if len(results.main_strategies) == 1 else f"{strategy} with {energy}"
            others.setdefault((kind, split), []).append(name)
        else:
            claims.append(answer_sentence(results, *case))
    rest = [
        SHORT[k].format(problems=PROBLEMS[split], energies=", ".join(names)) for (k, split), names in others.items()
    ]
    return claims + [" ".join(rest)] * bool(rest)


def verdict(results: StudyResults) -> str:
    """The answer: one line per energy, split and strategy."""
    lines = [answer_sentence(results, *case) for case in _cases(results)]
    return "\n".join(dict.fromkeys(lines)) or "No answer yet: there is no finished run."


def answer_sentence(results: StudyResults, energy: str, strategy: str, split: str) -> str:
    """One sentence: how a strategy changes the error against no mining, for one energy and split."""
    kind, row = result(results, energy, strategy, split), results.difference(energy, strategy, split)
    if row is None:
        return SENTENCES[kind].format(energy=energy, reason=_lacking(results, energy, strategy))
    gate = results.gate(energy)
    means, cost = results.means(energy, split)["mean"], step_costs(results, energy).get(strategy)
    lower, seeds = results.seeds_lower(row)
    return SENTENCES[kind].format(
        energy=energy,
        strategy=strategy,
        problems=PROBLEMS[split],
        verb="lowers" if row["mean_difference"] < 0 else "raises",
        size=percent(abs(shares(row)[0]), sign=False),
        difference=percent(shares(row)[0]),
        interval=interval(row),
        p=f"p = {number(row['p_holm'], 2)}" if row["p_holm"] >= 0.001 else "p < 0.001",
        lower=lower,
        seeds=counted(seeds, "seed"),
        cost=", at equal compute" if at_equal_compute(results) else step_time(cost),
        margin=f"{100 * MARGIN:g}{THIN}%",
        means=range_text(means.min(), means.max(), 3),
        limit=number(single_precision_limit(results, energy, split), 1),
        power=_lowest_p(results, row),
        gate=gate.sentence if gate else "",
    )


def at_equal_compute(results: StudyResults) -> bool:
    """Whether every run was trained for a budget of compute instead of a number of steps."""
    return all(record["params"].get("budget_steps") for record in results.records.values())


def step_time(cost: float | None) -> str:
    """The cost of a step in steps of the baseline, in words; empty if it is unknown."""
    return f", at {number(cost, 2)} times the time per step" if cost else ""


def training_length(params: list[dict]) -> str:
    """How long the runs trained, in steps or in the compute of so many steps of the baseline."""
    if all(p.get("budget_steps") for p in params):
        return f"compute of {format_range(p['budget_steps'] for p in params)} steps of {BASELINE}"
    return f"{format_range(p['train_steps'] for p in params)} training steps"


def result(results: StudyResults, energy: str, strategy: str, split: str) -> str:
    """The key of a comparison's sentence in `SENTENCES`."""
    row = results.difference(energy, strategy, split)
    if row is None:
        return "missing"
    if unequal(results, energy):
        return "unequal"
    if row["claim"] and (gate := results.gate(energy)) and not gate.passed:
        return "gate"
    return "rounding" if row["claim"] and single_precision_limit(results, energy, split) else outcome(row)


def _cases(results: StudyResults) -> list[tuple[str, str, str]]:
    """(energy, strategy, split) of every sentence of the answer."""
    return [
        (e, strategy, split) for e in results.energies for split in PROBLEMS for strategy in results.main_strategies
    ]


def outcome(row) -> str:
    """The result of a comparison (a row of `StudyResults.comparison`) in a few words."""
    if not row["claim"]:
        return "no claim"
    if row["significant"]:
        return f"{'lower' if row['mean_difference'] < 0 else 'higher'}{', small' * bool(row['equivalent'])}"
    return "equivalent" if row["equivalent"] else "inconclusive"


def single_precision_limit(results: StudyResults, energy: str, split: str) -> float | None:
    """The error of LU in float32 if all means are at it, else None."""
    means, methods = results.means(energy, split), results.iterative
    limit = methods.loc[(methods["method"] == "lu_float32") & (methods["split"] == split), "mse"]
    at_limit = len(means) and len(limit) and means["mean"].max() < ROUNDING * limit.iloc[0]
    return float(limit.iloc[0]) if at_limit else None


def distances(results: StudyResults, energy: str) -> list[str]:
    """A sentence on the best mean error against the affine fit, if known."""
    means = results.means(energy, "same")
    affine, constant = (results.reference(name, "same", energy) for name in ("affine", "constant"))
    if means.empty or not affine > 0:
        return []
    best = means.loc[means["mean"].idxmin()]
    ratio, note = best["mean"] / affine, ""
    if best["mean"] > constant:
        note = f" This is worse than the constant answer ({number(constant)}): the training is far too short."
    elif 1 / PLATEAU < ratio < PLATEAU:
        note = " On this plateau, a difference between strategies says little about mining."
    return [
        f"With {energy}, the lowest mean error on problems as in training is {number(best['mean'])} "
        f"({best['strategy']}), {number(ratio)} times that of the affine fit ({number(affine)}).{note}"
    ]


def scale(results: StudyResults) -> str:
    """The scale of the runs in one line: n, steps, batch, seeds, test problems, devices."""
    if not results.records:
        return "No finished run."
    params = [record["params"] for record in results.records.values()]
    machines = [record["provenance"]["machine"] for record in results.records.values()]
    devices = sorted({str(machine.get("gpu") or machine.get("cpu") or "?") for machine in machines})
    return (
        f"Scale: n = {format_range(p['n'] for p in params)}, {training_length(params)}, "
        f"batch {format_range(p['batch_size'] for p in params)}, "
        f"{counted(results.scores['seed'].nunique(), 'seed')}, {format_range(results.scores['problems'])} test "
        f"problems per split, {counted(len(params), 'run')} on {', '.join(devices)}.{_below_declared(results, params)}"
    )


def _below_declared(results: StudyResults, params: list[dict]) -> str:
    """The parts of the declared scale that some run does not reach."""
    if at_equal_compute(results):
        return ""  # the declared scale counts steps
    lowest = {name: min(p[name] for p in params) for name in DECLARED_SCALE if name != "seeds"}
    lowest["seeds"] = results.scores.groupby(["energy", "strategy"], observed=True)["seed"].nunique().min()
    larger = [text.format(value) for name, (value, text) in DECLARED_SCALE.items() if lowest[name] < value]
    return f" The declared scale is larger: {', '.join(larger)}." if larger else ""


def _lowest_p(results: StudyResults, row) -> str:
    """A sentence if the exact test cannot reach significance with these seeds."""
    family = of(results.comparison, row["energy"], row["split"])
    family = family[family["p"].notna()]
    lowest = lowest_holm(family["p"].to_numpy(float), family["n_seeds"].to_numpy())[family.index.get_loc(row.name)]
    if lowest < ALPHA:
        return ""
    return (
        f" With {counted(int(row['n_seeds']), 'seed')} and {counted(len(family), 'comparison')}, the corrected p "
        f"cannot be below {number(lowest, 2)}."
    )


def _lacking(results: StudyResults, energy: str, strategy: str) -> str:
    """The reason why a strategy cannot be compared with the baseline."""
    labels = results.strategies(energy)
    lacking = [name for name in (BASELINE, strategy) if name not in labels]
    divided = [name for name in lacking if any(label.startswith(f"{name} (") for label in labels)]
    if divided:
        return f"the runs of {' and of '.join(divided)} differ in their settings"
    if lacking:
        return f"there is no run of {' or of '.join(lacking)}"
    return f"{strategy} and {BASELINE} share no seed with a score"
