"""The tables about runs: protocol, seeds, provenance, settings, gaps."""

from anm.analysis import tidy_tables
from anm.analysis.gaps import missing
from anm.analysis.results import StudyResults
from anm.analysis.statistics import ALPHA, MARGIN, MIN_SEEDS, RESAMPLES
from anm.report.answer import DECLARED_SCALE
from anm.report.formatting import count_cell, number_cell
from anm.report.page import Cell, Html, anchor, html, items, link, paragraphs, table
from anm.study.plan import BASELINE
from anm.training.ema import EMA_DECAY
from anm.training.state import ADAM_BETAS
from anm.training.step import MAX_GRAD_NORM


def protocol(results: StudyResults) -> Html:
    """The protocol that was fixed before the runs, and how the weights are trained."""
    correction = "Holm's correction over all pairs of strategies of one energy and one split"
    correction += "; no correction across energies and splits"
    adam = f"Adam, betas {ADAM_BETAS[0]:g} and {ADAM_BETAS[1]:g}"
    clipping = f"gradient norm clipped to {MAX_GRAD_NORM:g} for each seed"
    rows = [
        ["primary score", "mean squared error over the entries, averaged weights, problems as in training (same)"],
        ["declared scale", ", ".join(f"{name} {value:,}" for name, (value, _) in DECLARED_SCALE.items())],
        ["interval", f"95 % BCa bootstrap of the mean of the paired differences, {RESAMPLES:,} resamples"],
        ["test", f"exact two-sided sign flip, level {ALPHA:g}; {correction}"],
        ["equivalence", f"two one-sided paired t tests, margin {100 * MARGIN:g} % of the mean of {BASELINE}"],
        ["fewest seeds for a claim", MIN_SEEDS],
        ["optimiser", f"{adam}, {clipping}; learning rate among the settings below"],
        ["averaged weights", f"exponential moving average, decay {EMA_DECAY:g} per step, less at first"],
        ["noise schedule", "cosine, levels among the settings below"],
    ]
    return table("The protocol in numbers", ["item", "value"], rows)


def seeds(results: StudyResults) -> Html:
    """Every score with a link to its run."""
    rows = [
        [
            html('<a href="#{}">{}</a>', anchor(row.run), row.run),
            *(row.energy, row.strategy, row.seed, row.split),
            *(number_cell(value, exact=True) for value in (row.mse, row.mse_se, row.residual)),
        ]
        for row in results.scores.itertuples()
    ]
    columns = ["run", "energy", "strategy", "seed", "problems", "MSE", "its standard error", "residual"]
    return table("Every seed of every run", columns, rows, fold=True)


def missing_and_refused(results: StudyResults) -> Html:
    """The gaps of the study, and the notebooks that were refused."""
    found = missing(results)
    notice = html('<div class="notice">{}</div>', items(found))
    nothing = paragraphs(["Nothing that the plan asks for is missing."])
    refused = [[r.path.name, r.reason] for r in results.refused]
    caption = "Refused notebooks: in the folder, but in no number of this page"
    rejected = table(caption, ["notebook", "reason"], refused) if refused else paragraphs(["No notebook was refused."])
    return html("{}\n{}", notice if found else nothing, rejected)


def provenance_table(results: StudyResults) -> Html:
    """The origin of every run: machine, code, time, memory, fingerprint."""
    runs, paths = (
        tidy_tables.provenance_columns(results.records),
        dict(zip(results.scores["run"], results.scores["path"])),
    )
    columns = ["run", "strategy, energy", "seeds", "machine", "code", "started", "seconds", "seconds per step"]
    columns += ["times resumed", "peak memory, MiB", "SHA-256 of the record"]
    rows = [
        [
            link(paths[run["run"]], run["run"]),
            f"{run['strategy']}, {run['energy']}",
            run["seeds"],
            f"{run['host']}: {run['gpu'] or run['cpu']}, {run['cores']} cores, on {run['device']}"
            f"{', compiled' if run['compiled'] else ''}",
            _code(run),
            run["started"],
            number_cell(run["seconds"], 3),
            number_cell(run["seconds_per_step"], 3),
            run["resumed"],
            count_cell(run["peak_memory_mib"]),
            fingerprint_cell(results, run["run"]),
        ]
        for run in runs.to_dict("records")
    ]
    return table("Origin of each run", columns, rows, ids=[anchor(run) for run in runs.get("run", [])])


def fingerprint_cell(results: StudyResults, name: str) -> Cell:
    """The first characters of a record's SHA-256, all of it on hover."""
    text = results.fingerprints.get(name, "")
    return Cell(text[:12], title=text)


def settings(results: StudyResults) -> Html:
    """Every setting of every run: one row per setting, the runs named if they differ."""
    values: dict[str, dict[str, list[str]]] = {}
    for run, record in results.records.items():
        for name, value in record["params"].items():
            values.setdefault(name, {}).setdefault(str(value), []).append(run)
    rows = []
    for name, found in values.items():
        each = (html("{}{}", value, f" ({', '.join(runs)})" * (len(found) > 1)) for value, runs in found.items())
        rows.append([name, html("<br>").join(each)])
    return table("Settings of the runs", ["setting", "value"], rows, fold=True)


def _code(run: dict) -> Cell:
    commit = f"commit {run['commit'][:12]}" if run["commit"] else "not under version control"
    return Cell(f"{commit}{', changed since' if run['dirty'] else ''}; {run['versions']}", title=run["commit"])
