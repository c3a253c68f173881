"""How far a comparison is from the full scale that this project declared, and what a part of it has shown."""

from pathlib import Path

from anm.analysis.declared_criteria import listed
from anm.analysis.equal_compute import ComparisonResults, references
from anm.analysis.gate import check_gate
from anm.params import RunParams
from anm.records.collect import read_records
from anm.report.answer import DECLARED_SCALE
from anm.report.formatting import counted, format_range
from anm.study.plan import BASELINE

LARGE = 20  # n of the declared full scale


def larger_scale(results: ComparisonResults, part: Path | None = None) -> str:
    """How far the runs are from the scale that the study declared for n = 20, and what that leaves open.

    part: a folder of runs at a part of that scale.
    """
    params = {regime: results.definition.params(regime, BASELINE) for regime in results.regimes}
    compared = [params[regime] for regime in results.family]
    declared = listed([text.format(value) for value, text in DECLARED_SCALE.values()])
    large = [regime for regime in results.regimes if regime not in results.passed and params[regime].n >= LARGE]
    text = (
        f"The declared full scale of this project is n = {LARGE} with {declared}. {part_of_it(part)} Here all arms are "
        f"compared at n = {format_range(p.n for p in compared)}; the longest training has "
        f"{max(p.budget_steps for p in compared):,} steps in batches of {format_range(p.batch_size for p in compared)}."
    )
    if large:
        text += f" In {listed(large)}, {BASELINE} does not pass the gate after so short a training."
    return text + " Whether the answer holds at the full scale is open."


def part_of_it(folder: Path | None) -> str:
    """What the runs in a folder have of the full scale, and whether their baseline passes the gate there."""
    records = read_records(folder)[0].values() if folder and folder.is_dir() else ()
    runs = {record["params"]["strategy"]: record for record in records}
    if BASELINE not in runs:
        return "It was not run."
    params, results = RunParams(**runs[BASELINE]["params"]), runs[BASELINE]["results"]
    gate = check_gate(results["same"]["mse"], references(params))
    how = f"{params.train_steps:,} steps in batches of {params.batch_size:,}, {counted(len(params.seed_list), 'seed')}"
    sentence = (gate.sentence[0].lower() + gate.sentence[1:]).replace("`", "")
    return f"It was run in part: {listed(sorted(runs))} with {how}. Its gate {sentence}"
