"""What a comparison at equal compute rests on: gates, negatives, counted cost, declaration, runs, gaps."""

import csv
from pathlib import Path

import pandas as pd

from anm.analysis.declaration import check_declaration, copies_of, declaration_sentences, declared_files
from anm.analysis.declared_criteria import listed
from anm.analysis.equal_compute import ComparisonResults, references
from anm.analysis.folder import gather
from anm.analysis.gate import best_reference, lowest_limit
from anm.analysis.tidy_tables import provenance_columns
from anm.report.formatting import count_cell, counted, difference_cell, number, number_cell, p_cell
from anm.report.full_scale import larger_scale
from anm.report.page import Cell, Html, html, items, link, paragraphs, table
from anm.study.plan import BASELINE

SHARE = 0.5  # a share of negatives above this is most of them
FEW = 0.1  # landscape steps that are accepted less often find nothing


def gate_table(results: ComparisonResults) -> Html:
    """Every regime's gate: the error of the baseline between the best least squares and the limit."""
    rows = []
    for regime in results.regimes:
        gate, params = results.gates[regime], results.definition.params(regime, BASELINE)
        table_of = references(params)
        (reference, _), (limit, _) = best_reference(table_of), lowest_limit(table_of)
        known = [number_cell(gate.error, 3), number_cell(gate.to_reference, 2)] if gate else [None, None]
        verdict = "no run of none" if gate is None else "passed" if gate.passed else "failed: no claim"
        about = f"{params.task}, n = {params.n}, width {params.width}"
        names = [Cell(regime, title=about), Cell(verdict, title=gate.sentence if gate else None)]
        rows.append([*names, *known, number_cell(reference, 3), number_cell(limit, 2)])
    columns = ["regime", "gate", "error of none", "over least squares", "best least squares", "limit"]
    kinds = [
        "" if results.gates[regime] and results.gates[regime].passed else "reference" for regime in results.regimes
    ]
    return table("The gate of each regime, and its floors", columns, rows, kinds=kinds)


def mined_warnings(negatives: pd.DataFrame) -> Html:
    """A notice for each arm whose negatives were mostly right answers, at the bound, or not descended."""
    found = mining_problems(negatives)
    nothing = paragraphs(["No arm mined nothing, and none mined mostly right answers."], "finding")
    return html('<div class="notice">{}</div>', items(found)) if found else nothing


def mining_problems(negatives: pd.DataFrame) -> list[str]:
    """A sentence per kind of problem, with the arms, regimes and noise levels where it is."""
    tests = {
        "More than half of the negatives are right answers": negatives["false"] > SHARE,
        "More than half of the negatives reach the answer bound": negatives["clipped"] > SHARE,
        "Fewer than a tenth of the mining steps lowered the energy": negatives["accepted"] < FEW,
    }
    sentences = []
    for text, rows in tests.items():
        places: dict[str, list[str]] = {}
        for (regime, arm), levels in negatives[rows].groupby(["regime", "arm"], sort=False)["level"]:
            places.setdefault(f"{regime} {level_text(levels)}", []).append(arm)
        if places:
            sentences.append(f"{text}: {'; '.join(f'{where}: {listed(arms)}' for where, arms in places.items())}.")
    return sentences


def level_text(levels) -> str:
    """Noise levels as "(levels 0 to 2)", or those that there are."""
    levels = sorted(int(level) for level in levels)
    if len(levels) == 1:
        return f"(level {levels[0]})"
    if levels == list(range(levels[0], levels[-1] + 1)):
        return f"(levels {levels[0]} to {levels[-1]})"
    return f"(levels {', '.join(map(str, levels))})"


def mined(results: ComparisonResults) -> Html:
    """Shares of negatives that are right, clipped and descended, by regime, arm and noise level."""
    known = results.negatives.dropna(subset=["false", "clipped", "accepted"], how="all")
    rows = [
        [
            f"{row['regime']}, {row['arm']}",
            int(row["level"]),
            *(number_cell(row[n], 2) for n in ("false", "clipped", "accepted")),
        ]
        for row in known.to_dict("records")
    ]
    columns = ["regime, arm", "noise level", "right answers", "at the bound", "accepted mining steps"]
    found = table("What was mined: shares in the last quarter of the training", columns, rows, fold=True)
    return html("{}\n{}", mined_warnings(results.negatives), found)


def step_costs(results: ComparisonResults) -> Html:
    """The counted cost of a step against the measured one, arm by arm."""
    costs = results.costs[results.costs["arm"] != BASELINE]
    rows = [
        [
            f"{row['regime']}, {row['arm']}",
            number_cell(row["counted"], 3),
            number_cell(row["measured"], 3),
            number_cell(row["seconds"], 3),
        ]
        for row in costs.to_dict("records")
    ]
    ratio = (costs["measured"] / costs["counted"]).dropna()
    text = (
        f"A step takes {number(ratio.median(), 2)} times its counted cost in measured time (median over "
        f"{counted(len(ratio), 'run')}; lowest {number(ratio.min(), 2)}, highest {number(ratio.max(), 2)}), both in "
        f"steps of {BASELINE}. Two runs shared the two cores of the machine, so single times are rough."
    )
    columns = ["regime, arm", "counted, in steps of none", "measured, in steps of none", "seconds per step"]
    found = table("Cost of a training step: counted FLOPs and measured seconds", columns, rows, fold=True)
    return html("{}\n{}", paragraphs([text] if len(ratio) else [], "finding"), found)


def declared(results: ComparisonResults) -> Html:
    """When the comparison was declared, whether it changed, whether every run is younger, and how it was tuned."""
    name = results.definition.name
    found = check_declaration(declared_files(name), results.records, copies_of(name, results.folder))
    said = paragraphs([" ".join(declaration_sentences(found))], "finding")
    shown = said if found.holds else html('<div class="notice">{}</div>', said)
    return html("{}\n{}", shown, trials(results.folder / "comparison.tuning.csv", results.definition.tuned))


def missing(results: ComparisonResults, part: str | Path | None = None) -> Html:
    """The declared runs and seeds without a score, the refused notebooks, and the scale that was not reached.

    part: a folder of runs at a part of that scale.
    """
    total = len(results.definition.cells())
    gaps = [f"{regime}, {arm}: seeds {short_seeds(seeds)}" for (regime, arm), seeds in results.missing.items()]
    gaps += [f"{each.path.name}: {each.reason}" for each in results.refused]
    done = (
        f"All {total} declared runs are there, with all of their seeds."
        if not gaps
        else (f"Of {total} declared runs, {total - len(results.missing)} are complete.")
    )
    notice = html('<div class="notice">{}</div>', items(gaps)) if gaps else Html("")
    return html("{}\n{}\n{}", paragraphs([done]), notice, paragraphs([larger_scale(results, part and Path(part))]))


def short_seeds(seeds: list[int]) -> str:
    """Seeds as "0 to 29", or the list of those that there are."""
    whole = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if whole else ", ".join(map(str, seeds))


def trials(path: Path, tuned: dict[tuple[str, str], dict]) -> Html:
    """Every trial of the tuning, the chosen one of each arm marked."""
    if not path.is_file():
        return paragraphs(["There is no file of trials: the settings are those of the declaration."])
    rows, kinds = [], []
    with open(path, newline="") as file:
        for trial in csv.DictReader(file):
            chosen = tuned.get((trial["regime"], trial["arm"]), {})
            used = bool(chosen) and all(float(trial[name]) == value for name, value in chosen.items())
            error = number_cell(float(trial["error"]), 4) if trial["error"] else "diverged"
            cells = [number_cell(float(trial[name]), 3) for name in ("learning_rate", "contrastive_weight")]
            rows.append([f"{trial['regime']}, {trial['arm']}", *cells, error, "chosen" if used else "", trial["seeds"]])
            kinds.append("" if used else "reference")
    columns = ["regime, arm", "learning rate", "weight of the loss of negatives", "error", "used", "seeds"]
    caption = "Trials of the tuning, on pilot seeds and the frozen fitting set"
    return table(caption, columns, rows, kinds=kinds, fold=True)


def origins(results: ComparisonResults) -> Html:
    """The origin of every run, with a link to its notebook."""
    columns = ["notebook", "seeds", "machine", "commit", "started", "seconds", "SHA-256 of the record"]
    rows = [
        [
            link(results.folder / run["run"], run["run"].removesuffix(".ipynb")),
            run["seeds"],
            f"{run['host']}: {run['gpu'] or run['cpu']}, {run['cores']} cores",
            Cell(
                f"{(run['commit'] or 'unknown')[:12]}{', changed since' if run['dirty'] else ''}", title=run["commit"]
            ),
            run["started"],
            count_cell(run["seconds"]),
            Cell(results.fingerprints[run["run"]][:12], title=results.fingerprints[run["run"]]),
        ]
        for run in provenance_columns(results.records).to_dict("records")
    ]
    return table("Origin of each run", columns, rows, fold=True)


def earlier_study(folder: str | Path) -> Html:
    """The earlier study in one table, with a link to its own page; empty without its folder."""
    folder = Path(folder)
    if not folder.is_dir():
        return Html("")
    study = gather(folder)
    rows = []
    for _, row in study.comparison.iterrows():
        if row["against"] == BASELINE and row["n_seeds"]:
            own = study.means(row["energy"], row["split"])
            means = [
                number_cell(own.loc[own["strategy"] == name, "mean"].iloc[0], 4) for name in (BASELINE, row["strategy"])
            ]
            name = f"{row['energy']}, {row['strategy']}, {row['split']}"
            rows.append([name, *means, difference_cell(row), p_cell(row["p_holm"]), int(row["n_seeds"])])
    page = folder / "summary.html"
    more = html("<p>{}</p>", link(page, "The page of the earlier study")) if page.is_file() else Html("")
    columns = [
        "energy, strategy, problems",
        "MSE of none",
        "MSE of the strategy",
        "difference, in %",
        "p (Holm)",
        "seeds",
    ]
    return html("{}\n{}", table("The earlier study: exploratory, at equal steps, without a claim", columns, rows), more)
