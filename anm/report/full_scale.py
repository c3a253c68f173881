"""How far a comparison is from the full scale that this project declared."""

from anm.analysis.declared_criteria import listed
from anm.analysis.equal_compute import ComparisonResults
from anm.report.answer import DECLARED_SCALE
from anm.report.formatting import format_range
from anm.study.plan import BASELINE

LARGE = 20  # n of the declared full scale


def larger_scale(results: ComparisonResults) -> str:
    """How far the runs are from the scale that the study declared for n = 20, and what that leaves open."""
    params = {regime: results.definition.params(regime, BASELINE) for regime in results.regimes}
    compared = [params[regime] for regime in results.family]
    declared = listed([text.format(value) for value, text in DECLARED_SCALE.values()])
    large = [regime for regime in results.regimes if regime not in results.passed and params[regime].n >= LARGE]
    text = (
        f"The declared full scale of this project is n = {LARGE} with {declared}. It was not run. Here all arms are "
        f"compared at n = {format_range(p.n for p in compared)}; the longest training has "
        f"{max(p.budget_steps for p in compared):,} steps in batches of {format_range(p.batch_size for p in compared)}."
    )
    if large:
        text += f" In {listed(large)}, {BASELINE} does not pass the gate after so short a training."
    return text + " Whether the answer holds at the full scale is open."
