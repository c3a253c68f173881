"""The report's tables, the notices, and the data to take away."""

import json

import pandas as pd

from anm import frames
from anm.page import Cell, Html, anchor, download, html, items, joined, link, paragraphs, table
from anm.references import PUBLISHED
from anm.report.findings import BASELINE, SPLITS, Findings, missing
from anm.report.numbers import counted, number, percent, shares, span
from anm.report.words import (
    DECLARED,
    THEIRS,
    answers,
    details,
    difference,
    in_short,
    reproduced,
    scale,
    summary,
    tag,
    verdict,
)
from anm.stats import ALPHA, MARGIN, MIN_SEEDS, RESAMPLES
from anm.trainer import BETAS, EMA_DECAY, MAX_GRAD_NORM

LABELS = {
    "constant": "constant: the mean inverse",
    "affine": "affine: c₀I + c₁A",
    "polynomial_2": "polynomial in A, degree 2",
    "polynomial_4": "polynomial in A, degree 4",
    "polynomial_10": "polynomial in A, degree 10",
    "newton_schulz_16": "Newton-Schulz, 16 iterations",
    "newton_schulz_20": "Newton-Schulz, 20 iterations",
    "newton_schulz_spd_10": "Newton-Schulz for definite A, 10 iterations",
    "lu": "LU in float64",
}
PICTURES = ("forming", "worst")  # of a record's results
DATA_LIMIT = 2_000_000  # characters of records.json in the page; above, the curves are left out


def answer(findings: Findings) -> Html:
    """Scale and verdict, and a notice where something is missing or was refused."""
    lacks, refused = len(missing(findings)), len(findings.refused)
    counts = [counted(refused, "notebook") + " refused"] * bool(refused) + [
        counted(lacks, "gap") + " in the evidence"
    ] * bool(lacks)
    notice = html('<p class="notice">{}: <a href="#what-is-missing">what is missing</a></p>', ", ".join(counts))
    return Html("\n").join(
        [
            paragraphs([scale(findings)], "scale"),
            paragraphs(in_short(findings) or verdict(findings).split("\n"), "verdict"),
            notice if counts else Html(""),
        ]
    )


def beside(findings: Findings) -> Html:
    """What goes with the verdict, an energy at a time."""
    several = len(findings.energies) > 1
    return joined(
        html(
            "{}{}",
            paragraphs([energy] if several else [], "energy"),
            items([*(answers(findings, energy) if several else []), *details(findings, energy)], "findings"),
        )
        for energy in findings.energies
    )


def strategies(findings: Findings) -> Html:
    """Every strategy with its scores and its difference from no mining, and the references below."""
    columns = [
        "strategy",
        "MSE same",
        "MSE harder",
        "difference from none, same, in % of its mean",
        "p (Holm)",
        "equivalent",
        "seeds",
        "seconds a step",
    ]
    rows = [
        _strategy(findings, energy, name)
        for energy in findings.energies
        for name in frames.in_order(findings.scores.loc[findings.scores["energy"] == energy, "strategy"])
    ]
    known = findings.references.drop_duplicates(["reference", "problems"])
    several = known["problems"].nunique() > 1
    others = [_reference(row, f", {row['problems']:,} problems" * several) for row in known.to_dict("records")]
    if findings.published:
        best = findings.published
        others.append([f"published: {best.method}", _given(best.mse_same), _given(best.mse_harder), *[None] * 5])
    kinds = [""] * len(rows) + ["reference"] * len(others)
    return table(
        "Strategies; below them what needs no network of ours, ± its standard error over problems",
        columns,
        rows + others,
        kinds=kinds,
    )


def published(findings: Findings) -> Html:
    """The figures of others and how ours compare, where the runs are at their n."""
    rows = [[p.method, _given(p.mse_same), _given(p.mse_harder), p.source, p.table] for p in PUBLISHED]
    columns = ["method", "MSE same", "MSE harder", "source", "table"]
    return (
        joined(
            [
                paragraphs(reproduced(findings), "finding"),
                table("What others have published, without intervals", columns, rows, fold=True),
            ]
        )
        if findings.published
        else Html("")
    )


def optimisation(findings: Findings) -> Html:
    """The published comparison of optimisation steps, and ours at as many (levels times landscape steps), by strategy."""
    steps = frames.landscape_steps(findings.records)
    steps = steps[steps["energy"] == THEIRS].copy()
    steps["total"] = steps["steps"] * steps["run"].map(
        {run: record["params"]["noise_levels"] for run, record in findings.records.items()}
    )
    names = frames.in_order(steps["strategy"])
    if not findings.published or not names:
        return Html("")
    given = {int(p.method.split()[1]): p for p in PUBLISHED if p.method.endswith("optimisation steps")}
    rows, problems = [], ", ".join(f"{count:,.0f}" for count in sorted(steps["problems"].unique()))
    for total in [0, *given]:
        mine = steps[steps["total"] == total]
        means = [
            mine.loc[(mine["strategy"] == name) & (mine["split"] == split), "mse"].mean()
            for name in names
            for split in SPLITS
        ]
        theirs = given.get(total)
        rows.append(
            [
                total,
                *([_given(theirs.mse_same), _given(theirs.mse_harder)] if theirs else [None, None]),
                *map(_score, means),
            ]
        )
    columns = [
        "optimisation steps",
        *(f"published, {split}" for split in SPLITS),
        *(f"{name}, {split}" for name in names for split in SPLITS),
    ]
    return table(
        f"Optimisation steps when solving: published, and the {THEIRS} energy here (mean over seeds, {problems} problems)",
        columns,
        rows,
    )


def pairs(findings: Findings) -> Html:
    """Every pair of strategies, both difficulties."""
    columns = [
        "pair",
        "problems",
        "difference, in % of the mean of none",
        "p",
        "p (Holm)",
        "p (equivalence)",
        "equivalent",
        "paired seeds",
    ]
    rows = [
        [
            f"{tag(findings, row['energy'])}{row['strategy']} against {row['against']}",
            row["split"],
            _effect(row),
            _p(row["p"]),
            _p(row["p_holm"]),
            _p(row["p_tost"]),
            _yes(row, "equivalent"),
            int(row["n_seeds"]),
        ]
        for _, row in findings.comparison.iterrows()
    ]
    return table("Every pair of strategies", columns, rows, fold=len(rows) > 6) if rows else Html("")


def protocol(findings: Findings) -> Html:
    """What was fixed before the runs, in numbers, and how the weights are trained."""
    rows = [
        ["primary score", "mean squared error over the entries, averaged weights, problems as in training (same)"],
        ["declared scale", ", ".join(f"{name} {value:,}" for name, value in DECLARED.items())],
        ["interval", f"95 % BCa bootstrap of the mean of the paired differences, {RESAMPLES:,} resamples"],
        [
            "test",
            f"exact two-sided sign flip, level {ALPHA:g}, Holm's correction over all pairs of strategies of one energy and one difficulty; "
            "the energies and difficulties are not corrected for one another",
        ],
        ["equivalence", f"two one-sided paired t tests, margin {100 * MARGIN:g} % of the mean of {BASELINE}"],
        ["fewest seeds for a claim", MIN_SEEDS],
        [
            "optimiser",
            f"Adam, betas {BETAS[0]:g} and {BETAS[1]:g}, gradient norm clipped to {MAX_GRAD_NORM:g} for each seed; learning rate among the settings below",
        ],
        ["averaged weights", f"exponential, {EMA_DECAY:g} a step, less at first"],
        ["noise schedule", "cosine, levels among the settings below"],
    ]
    return table("The protocol in numbers", ["what", "how"], rows)


def seeds(findings: Findings) -> Html:
    """Every score with its run."""
    rows = [
        [
            html('<a href="#{}">{}</a>', anchor(row.run), row.run),
            row.energy,
            row.strategy,
            row.seed,
            row.split,
            _score(row.mse),
            _score(row.mse_se),
            _score(row.residual),
        ]
        for row in findings.scores.itertuples()
    ]
    columns = ["run", "energy", "strategy", "seed", "problems", "MSE", "its standard error", "residual"]
    return table("Every seed of every run", columns, rows, fold=True)


def gaps(findings: Findings) -> Html:
    """What is missing and what was refused, in plain sight; or that nothing is."""
    lacks = missing(findings)
    refused = [[r.path.name, r.reason] for r in findings.refused]
    return Html("\n").join(
        [
            html('<div class="notice">{}</div>', items(lacks))
            if lacks
            else paragraphs(["Nothing that the plan asks for is missing."]),
            table("Refused: in the folder, but in no number of this page", ["notebook", "reason"], refused)
            if refused
            else paragraphs(["No notebook in the folder was refused."]),
        ]
    )


def provenance(findings: Findings) -> Html:
    """Where every run comes from."""
    runs, paths = frames.provenance(findings.records), dict(zip(findings.scores["run"], findings.scores["path"]))
    rows = [
        [
            link(paths[run["run"]], run["run"]),
            f"{run['strategy']}, {run['energy']}",
            run["seeds"],
            _machine(run),
            _code(run),
            run["started"],
            _seconds(run["seconds"]),
            _seconds(run["seconds_per_step"]),
            run["resumed"],
            _mebibytes(run["peak_memory_mib"]),
            _fingerprint(findings, run["run"]),
        ]
        for run in runs.to_dict("records")
    ]
    columns = [
        "run",
        "what",
        "seeds",
        "machine",
        "code",
        "started",
        "seconds",
        "seconds a step",
        "resumed",
        "peak memory, MiB",
        "record, SHA-256",
    ]
    return table("Where each run comes from", columns, rows, ids=[anchor(run) for run in runs.get("run", [])])


def settings(findings: Findings) -> Html:
    """Every setting of every run: one row where all agree, the runs named where they do not."""
    values: dict[str, dict[str, list[str]]] = {}
    for run, record in findings.records.items():
        for name, value in record["params"].items():
            values.setdefault(name, {}).setdefault(str(value), []).append(run)
    rows = [
        [
            name,
            html("<br>").join(
                html("{}{}", value, f" ({', '.join(runs)})" if len(found) > 1 else "") for value, runs in found.items()
            ),
        ]
        for name, found in values.items()
    ]
    return table("Settings of the runs, as resolved", ["setting", "value"], rows, fold=True)


def downloads(findings: Findings) -> Html:
    """The data behind every number: tidy tables as CSV, the records as JSON."""
    scores = findings.scores.assign(path=[str(name) for name in findings.scores["run"]]).rename(
        columns={"path": "notebook"}
    )
    files = [
        download("scores.csv", to_csv(scores), "text/csv"),
        download("comparisons.csv", to_csv(findings.comparison), "text/csv"),
        download("references.csv", to_csv(findings.references), "text/csv"),
        download("records.json", to_json(findings.records), "application/json"),
    ]
    return html('<p class="downloads">{}</p>', Html("\n").join(files))


def to_csv(frame: pd.DataFrame) -> str:
    """CSV; text that a spreadsheet would take for a formula gets a quote in front."""

    def safe(value):
        return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value

    return frame.astype(object).map(safe).to_csv(index=False, lineterminator="\n")


def to_json(records: dict[str, dict]) -> str:
    """The records without the matrices that are pictures in the page; without their training curves too, where those
    would make it heavy. What was left out is said in them."""
    kept = {
        run: record | {"results": {name: part for name, part in record["results"].items() if name not in PICTURES}}
        for run, record in records.items()
    }
    text = _with_note(kept, PICTURES)
    if len(text) <= DATA_LIMIT:
        return text
    return _with_note(
        {run: {name: part for name, part in record.items() if name != "curves"} for run, record in kept.items()},
        ("curves", *PICTURES),
    )


def _with_note(records: dict[str, dict], absent: tuple[str, ...]) -> str:
    note = {"left_out": f"{', '.join(absent)}: too large for a page; they are in the executed notebooks"}
    return json.dumps(note | records, separators=(",", ":"))


def _machine(run: dict) -> str:
    compiled = ", compiled" if run["compiled"] else ""
    return f"{run['host']}: {run['gpu'] or run['cpu']}, {run['cores']} cores, on {run['device']}{compiled}"


def _code(run: dict) -> Cell:
    commit = f"commit {run['commit'][:12]}" if run["commit"] else "not under version control"
    return Cell(f"{commit}{', changed since' if run['dirty'] else ''}; {run['versions']}", title=run["commit"])


def _fingerprint(findings: Findings, run: str) -> Cell:
    whole = findings.fingerprints.get(run, "")
    return Cell(whole[:12], title=whole)


def _strategy(findings: Findings, energy: str, name: str) -> list:
    row = difference(findings, energy, name, "same")
    mine = findings.scores[(findings.scores["energy"] == energy) & (findings.scores["strategy"] == name)]
    scores = [_mean(summary(findings, energy, split), name) for split in SPLITS]
    compared = (
        [None, None, None]
        if row is None or name == BASELINE
        else [_effect(row), _p(row["p_holm"]), _yes(row, "equivalent")]
    )
    found = sorted(set(mine["seed"]))
    return [
        f"{tag(findings, energy)}{name}",
        *scores,
        *compared,
        Cell(len(found), title=f"seeds {', '.join(map(str, found))}"),
        _seconds(mine["seconds_per_step"].mean()),
    ]


def _mean(means: pd.DataFrame, name: str):
    rows = means[means["strategy"] == name] if len(means) else means
    if rows.empty or not rows["mean"].notna().any():
        return None
    row = rows.iloc[0]
    return _ranged(number(row["mean"], 4), span(row["ci_low"], row["ci_high"]), row["mean"])


def _effect(row) -> Cell:
    """A difference in percent of the baseline with its interval."""
    relative, low, high = shares(row)
    return _ranged(percent(relative), f"{percent(low)} to {percent(high)}", relative)


def _reference(row: dict, on: str) -> list:
    scores = [
        _ranged(number(row[f"mse_{s}"], 4), f"± {number(row[f'mse_{s}_se'], 2)}", row[f"mse_{s}"]) for s in SPLITS
    ]
    return [LABELS.get(row["reference"], row["reference"].replace("_", " ")) + on, *scores, *[None] * 5]


def _given(value: float) -> Cell | None:
    """A number of others, in the digits that they gave."""
    return Cell(f"{value:g}", sort=value) if value == value else None


def _ranged(value: str, spread: str, sort: float) -> Cell:
    """A number with its interval below it; an unknown interval is left out."""
    below = html(' <span class="range">{}</span>', spread) if "—" not in spread else ""
    return Cell(html("{}{}", value, below), sort=sort)


def _score(value: float) -> Cell | None:
    return Cell(number(value, 4), sort=value, title=repr(float(value))) if value == value else None


def _seconds(value) -> Cell | None:
    return Cell(number(value, 3), sort=value) if value is not None and value == value else None


def _mebibytes(value) -> Cell | None:
    return Cell(f"{value:,.0f}", sort=value) if value is not None and value == value else None


def _p(value: float) -> Cell | None:
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", sort=value) if value == value else None


def _yes(row, name: str) -> str:
    return ("yes" if row[name] else "no") if row["claim"] else "too few seeds"
