"""What the declaration of a comparison counts as an answer, evaluated: see docs/preregistration.md."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from anm.analysis.equal_compute import ComparisonResults
from anm.study.plan import BASELINE

WORTHWHILE = 1.2  # the compute multiplier that would make mining worth while
REGIMES = 2  # in which one arm must reach it
KINDS = ("contrastive", "unmined", "denoising", "control")


@dataclass(frozen=True)
class Criterion:
    """A declared criterion: its text, whether it is met, and what was found; `met` is None where runs lack."""

    text: str
    met: bool | None
    found: str


def kind_of(results: ComparisonResults, arm: str) -> str:
    """contrastive (mined negatives), unmined (random ones), denoising (negatives as inputs) or control (none)."""
    params = results.definition.params(results.family[0], arm)
    if params.strategy == BASELINE:
        return "control"
    if params.negative_loss == "denoising":
        return "denoising"
    return "unmined" if params.strategy == "random" else "contrastive"


def arms_of(results: ComparisonResults, kind: str) -> list[str]:
    """The arms of a kind, in their declared order."""
    return [arm for arm in results.arms if results.family and kind_of(results, arm) == kind]


def claims(results: ComparisonResults, arms: list[str]) -> pd.DataFrame:
    """The primary comparisons of these arms that are in the family and have enough seeds."""
    rows = results.primary
    return rows[rows["claim"].astype(bool) & rows["arm"].isin(arms)]


def declared_rows(results: ComparisonResults, arms: list[str]) -> pd.DataFrame:
    """The primary comparisons of these arms in the family, also those without runs."""
    rows = results.primary
    return rows[rows["primary"].astype(bool) & rows["arm"].isin(arms)]


def gains(results: ComparisonResults, arms: list[str], least: float = 1.0) -> pd.DataFrame:
    """The claims with a significantly lower error and a multiplier above 1 that is at least `least`."""
    rows = claims(results, arms)
    above = (rows["multiplier"] > 1) & (rows["multiplier"] >= least)
    return rows[rows["significant"].astype(bool) & (rows["ratio"] < 1) & above]


def in_enough_regimes(rows: pd.DataFrame) -> list[str]:
    """The arms that have rows in two regimes or more."""
    counts = rows["arm"].value_counts()
    return [arm for arm in dict.fromkeys(rows["arm"]) if counts[arm] >= REGIMES]


def mining_pays(results: ComparisonResults) -> Criterion:
    """Contrastive mining pays."""
    arms = arms_of(results, "contrastive")
    rows = gains(results, arms)
    text = f"Contrastive mining pays: one of {listed(arms)} has a multiplier above 1 in two regimes, "
    text += "significant after Holm"
    return Criterion(text, answered(results, arms, bool(in_enough_regimes(rows))), found_text(rows))


def mining_does_not_pay(results: ComparisonResults) -> Criterion:
    """Contrastive mining does not pay."""
    arms = arms_of(results, "contrastive")
    rows, all_rows = gains(results, arms), declared_rows(results, arms)
    excluded = bool((all_rows["multiplier_high"] < WORTHWHILE).all())
    highest = all_rows["multiplier_high"].max()
    bound = f"the largest upper end is {bound_text(highest, all_rows['largest'].max())}"
    text = (
        f"Contrastive mining does not pay: no such multiplier is significant, and all intervals exclude {WORTHWHILE:g}"
    )
    return Criterion(
        text, answered(results, arms, rows.empty and excluded, from_all=True), f"{found_text(rows)}; {bound}"
    )


def inputs_pay(results: ComparisonResults) -> Criterion:
    """Mined inputs pay."""
    arms, controls = arms_of(results, "denoising"), arms_of(results, "control")
    rows = gains(results, arms, WORTHWHILE)
    better = [below(results, row["regime"], row["arm"], controls) for row in rows.to_dict("records")]
    rows = rows[np.array(better, bool)]
    text = (
        f"Mined inputs pay: one of {listed(arms)} has a multiplier of at least {WORTHWHILE:g} in two regimes, "
        f"significant after Holm, and a lower error than {listed(controls)} there"
    )
    return Criterion(text, answered(results, arms, bool(in_enough_regimes(rows))), found_text(rows))


def below(results: ComparisonResults, regime: str, arm: str, controls: list[str]) -> bool:
    """Whether an arm has a lower error than every control in a regime."""
    return all(results.against(regime, arm, control)["ratio"] < 1 for control in controls)


def check_criteria(results: ComparisonResults) -> list[Criterion]:
    """The three criteria of the declaration, in its order."""
    return [mining_pays(results), mining_does_not_pay(results), inputs_pay(results)]


def answered(results: ComparisonResults, arms: list[str], met: bool, from_all: bool = False) -> bool | None:
    """Whether a criterion is met; None where a declared comparison without a claim could still change that.

    from_all: it needs every comparison; otherwise the runs that there are may meet it.
    """
    rows = declared_rows(results, arms)
    complete = bool(len(rows)) and bool(rows["claim"].all())
    return met if complete or (met and not from_all) else None


def found_text(rows: pd.DataFrame) -> str:
    """The comparisons in words."""
    each = [f"{row['arm']} in {row['regime']} ({row['multiplier']:.2f})" for row in rows.to_dict("records")]
    return f"{len(each)} such: {', '.join(each)}" if each else "none such"


def bound_text(value: float, largest: float) -> str:
    """The end of a multiplier's interval, or what it exceeds."""
    if np.isnan(value):
        return "unknown"
    return f"above {largest:.3g}" if value > largest else f"{value:.2f}"


def listed(names: list[str]) -> str:
    """Names as "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
