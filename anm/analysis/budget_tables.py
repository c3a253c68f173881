"""Scores at each point of the budget as a tidy table, and every arm's comparison with the baseline at equal compute.

Compute is counted in steps of the baseline `none`: FLOPs over the FLOPs of one such step.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from anm.analysis.log_ratios import FAMILY_COLUMNS, RATIO_COLUMNS, correct_family
from anm.analysis.multiplier import MULTIPLIER_COLUMNS, compute_multiplier, error_ratios
from anm.params import parse_seeds
from anm.records.schema import SPLITS
from anm.study.plan import BASELINE

ROUNDING = 1e-9  # relative, of FLOPs per step
POINTS = (0.25, 0.5, 1.0)  # shares of the budget at which arms are compared
SCORES = ("mse", "scaled")  # the error, and the error after one fitted scalar
SCORE_COLUMNS = "run regime arm seed split share steps flops compute mse scaled scale".split()
COMPARISON_COLUMNS = [
    *("regime", "arm", "split", "score", "point", "primary"),
    *RATIO_COLUMNS,
    *FAMILY_COLUMNS,
    *MULTIPLIER_COLUMNS,
]


def budget_scores(records: Mapping[str, dict], labels: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """The scores at each budget point: one row per (run, seed, split, point).

    records: run -> record. labels: run -> (regime, arm); other runs are left out. share: of the run's own budget.
    flops: counted, per seed. compute: the same in steps of the baseline. mse, scaled: the error, and the error after
    one fitted scalar `scale`; NaN where the record has null.
    """
    rows = [
        {"run": run, "regime": regime, "arm": arm, "seed": seed, "split": split}
        | {name: point[name] for name in ("share", "steps", "flops")}
        | {"compute": point["flops"] / records[run]["compute"]["baseline_flops"]}
        | {name: point[split][name][place] for name in ("mse", "scaled", "scale")}
        for run, (regime, arm) in labels.items()
        for point in records[run]["results"].get("budgets") or []
        for split in SPLITS
        if split in point  # points before the last may have `same` alone
        for place, seed in enumerate(parse_seeds(records[run]["params"]["seeds"]))
    ]
    return pd.DataFrame(rows, columns=SCORE_COLUMNS).astype(dict.fromkeys(SCORE_COLUMNS[5:], float))


def comparisons(
    scores: pd.DataFrame,
    budgets: Mapping[str, float],
    passed: Collection[str],
    arms: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Every arm against the baseline: one row per (regime, arm, split, score, point).

    scores: as `budget_scores` gives them. budgets: regime -> B, in steps of the baseline. passed: the regimes whose
    gate passed. arms: regime -> the declared arms; those that have scores, by default. An arm without scores at a
    point keeps its row, with n_seeds 0 and the lacking seeds as `missing`.

    primary: the declared family, which is the rows of `same`, mse and point 1 in the regimes that passed. Holm's
    method runs over it once; no other row carries a claim. The other columns: `anm.analysis.log_ratios`. At point 1
    also `anm.analysis.multiplier`, with all points of the baseline. Raises `ValueError` if an arm has two scores at a
    seed.
    """
    rows = []
    for regime, budget in budgets.items():
        own = scores[scores["regime"] == regime].reset_index(drop=True)
        names = arms[regime] if arms else list(dict.fromkeys(own["arm"]))
        for arm in (name for name in names if name != BASELINE):
            rows += compare_in_regime(own, arm, budget, {"regime": regime, "arm": arm})
    table = pd.DataFrame(rows, columns=[name for name in COMPARISON_COLUMNS if name not in FAMILY_COLUMNS])
    main = (table["split"] == SPLITS[0]) & (table["score"] == SCORES[0]) & (table["point"] == POINTS[-1])
    table["primary"] = main & table["regime"].isin(list(passed))
    return correct_family(table, table["primary"])[COMPARISON_COLUMNS]


def compare_in_regime(scores: pd.DataFrame, arm: str, budget: float, about: dict) -> list[dict]:
    """The rows of one arm in one regime: splits by scores by points."""
    rows = []
    for split in SPLITS:
        part = scores[scores["split"] == split]
        own, base = part[part["arm"] == arm], part[part["arm"] == BASELINE]
        for score in SCORES:
            pair = [at_points(each, budget, score) for each in (own, base)]
            ratios = error_ratios(*pair).to_dict("records")
            ratios[-1] |= multiplier_of(pair[0][POINTS[-1]], own, base, budget, score)
            rows += [about | {"split": split, "score": score} | row for row in ratios]
    return rows


def at_points(scores: pd.DataFrame, budget: float, score: str) -> pd.DataFrame:
    """One arm's scores (seeds x POINTS), at the point of compute nearest to each share of the budget.

    NaN where no point of the run is within the compute of one of the arm's own steps.
    """
    columns = {share: nearest(scores, share * budget).set_index("seed")[score] for share in POINTS}
    return pd.DataFrame(columns, index=pd.Index(sorted(set(scores["seed"])), name="seed"), dtype=float)


def nearest(scores: pd.DataFrame, compute: float) -> pd.DataFrame:
    """The rows of each seed nearest to this compute, within one step of their arm."""
    distance = (scores["compute"] - compute).abs()
    near = scores[distance <= scores["compute"] / scores["steps"] * (1 + ROUNDING)]
    found = near.loc[distance[near.index].groupby([near["run"], near["seed"]]).idxmin()]
    if found["seed"].duplicated().any():
        raise ValueError(
            f"{found['arm'].iloc[0]} in {found['regime'].iloc[0]}: two runs have scores of the same seed "
            f"({', '.join(sorted(set(found['run'])))}): leave one of them out"
        )
    return found


def multiplier_of(errors: pd.Series, own: pd.DataFrame, base: pd.DataFrame, budget: float, score: str) -> dict:
    """The compute multiplier of an arm's errors at the full budget, by seed; NaN if the baseline has no two points."""
    compute = base.groupby("share")["compute"].mean().sort_values()  # runs of other seeds have the same shares
    if len(compute) < 2 or errors.empty:
        return dict.fromkeys(MULTIPLIER_COLUMNS, np.nan)
    curves = base.pivot(index="seed", columns="share", values=score)[compute.index].reindex(errors.index)
    spent = nearest(own, budget)["compute"].mean()  # NaN where no run of the arm reached the budget
    return compute_multiplier(errors.to_numpy(), curves.to_numpy(), compute.to_numpy(), spent)
