"""The tables that compare with published figures: the prior study of mining, and IRED."""

from anm.analysis import tidy_tables
from anm.analysis.results import BEST, MAIN_STRATEGY, StudyResults, of
from anm.baselines.published import IRED, PRIOR, PUBLISHED
from anm.records.schema import SPLITS
from anm.report.formatting import difference_cell, number_cell, percent, published_cell
from anm.report.page import Html, table
from anm.study.plan import BASELINE

ENERGY = "mlp"  # the published figures are of this energy


def differences(results: StudyResults) -> Html:
    """The published effects of negatives and ours; only at the published n."""
    prior = {p.method: p.mse_same for p in PUBLISHED if p.source == PRIOR}
    without = next(p for p in PUBLISHED if p.source == IRED and "without" in p.method)
    cases = [
        ("prior study", name, "same", mse / prior[BASELINE] - 1) for name, mse in prior.items() if name != BASELINE
    ]
    for split in SPLITS:
        published = getattr(BEST, f"mse_{split}") / getattr(without, f"mse_{split}") - 1
        cases.append(("IRED, contrast with mined negatives", MAIN_STRATEGY, split, published))
    rows = []
    for source, name, split, published in cases if results.published else ():
        row = results.difference(ENERGY, name, split)
        if row is not None:
            same = "yes" if (row["relative"] > 0) == (published > 0) else "no"
            rows.append([source, f"{name} against none", split, percent(published), difference_cell(row), same])
    if not rows:
        return Html("")
    params = [record["params"] for record in results.records.values()]
    steps = max(p["train_steps"] for p in params if p["energy"] == ENERGY)
    columns = ["source", "pair", "problems", "published", "here", "same direction"]
    caption = (
        f"Published effects of negatives, and ours with {ENERGY} after {steps:,} steps. Prior study: 100,000 steps; "
        "its scores are on different problems, with a sampling error about as large as its effects. IRED: one training "
        "each, no interval"
    )
    return table(caption, columns, rows)


def published_table(results: StudyResults) -> Html:
    """All published figures; only at their n."""
    rows = [[p.method, published_cell(p.mse_same), published_cell(p.mse_harder), p.source, p.table] for p in PUBLISHED]
    columns = ["method", "MSE same", "MSE harder", "source", "table"]
    caption = "Published figures, without intervals"
    return table(caption, columns, rows, fold=True) if results.published else Html("")


def optimisation_steps(results: StudyResults) -> Html:
    """Errors by optimisation steps (noise levels times landscape steps): published, and ours by strategy."""
    steps = of(tidy_tables.landscape_steps(results.records), ENERGY)
    levels = {run: record["params"]["noise_levels"] for run, record in results.records.items()}
    steps = steps.assign(total=steps["steps"] * steps["run"].map(levels))
    names = tidy_tables.in_order(steps["strategy"])
    if not results.published or not names:
        return Html("")
    known = {int(p.method.split()[1]): p for p in PUBLISHED if p.method.endswith("optimisation steps")}
    rows = []
    for total in [0, *known]:
        given = [published_cell(getattr(known[total], f"mse_{s}")) if total in known else None for s in SPLITS]
        own = steps[steps["total"] == total]
        means = [own.loc[(own["strategy"] == n) & (own["split"] == s), "mse"].mean() for n in names for s in SPLITS]
        rows.append([total, *given, *(number_cell(mean, exact=True) for mean in means)])
    columns = ["optimisation steps", *(f"{name}, {split}" for name in ("published", *names) for split in SPLITS)]
    problems = ", ".join(f"{count:,.0f}" for count in sorted(steps["problems"].unique()))
    caption = f"Error by optimisation steps: published, and with {ENERGY} here (mean over seeds, {problems} problems)"
    return table(caption, columns, rows)
