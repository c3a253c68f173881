"""The compute multiplier of an arm: how much compute the baseline needs for the same error, over the budget.

1: the arm has no effect; 0.5: half of its compute was wasted; 2: the baseline needs twice the budget.
Source: compute-equivalent gain, Davidson et al. 2023, arXiv 2312.07413.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from anm.analysis.log_ratios import compare_logs
from anm.analysis.sign_flips import inverted_interval, subset_weights

MULTIPLIER_COLUMNS = "multiplier multiplier_low multiplier_high smallest largest multiplier_seeds".split()


def compute_multiplier(arm: np.ndarray, baseline: np.ndarray, compute: Sequence[float], budget: float) -> dict:
    """The multiplier with its 95 % interval.

    arm (S,): errors at the budget. baseline (S, P): errors of the same seeds at P points of compute, which rise;
    budget in the same unit. Seeds with an error that is not positive and finite are left out.

    Each seed's log error is linear in log compute between points. The multiplier is where the mean log difference
    between arm and baseline is zero. The interval inverts the sign-flip test over the multiplier: each subset of seeds
    has a multiplier of its own, and the ends are the order statistics of those. Where a curve rises again, the first
    crossing counts: the least compute at which the baseline reaches the error. There the interval is approximate,
    and it is widened where it would exclude the multiplier. Nothing is extrapolated: 0 means less than `smallest`,
    infinity means more than `largest`, the ends of the points over the budget. Below six seeds the interval is 0 to
    infinity.
    """
    arm, baseline, compute = (np.asarray(values, float) for values in (arm, baseline, compute))
    if baseline.shape != (len(arm), len(compute)) or len(compute) < 2 or (np.diff(compute) <= 0).any():
        raise ValueError(
            f"arm {arm.shape}, baseline {baseline.shape}, compute {compute.tolist()}: give the baseline's errors as "
            "(seeds of the arm, points), at two or more points of compute that rise"
        )
    known = np.column_stack([arm, baseline])
    usable = (np.isfinite(known) & (known > 0)).all(axis=1)
    ends = compute[[0, -1]] / budget
    if not usable.any():
        return dict(zip(MULTIPLIER_COLUMNS, [np.nan, np.nan, np.nan, *ends, 0]))
    gaps = (np.log(baseline[usable]) - np.log(arm[usable, None])).T  # (points, seeds)
    points = np.log(compute / budget)
    (estimate,) = first_crossings(gaps.mean(axis=1, keepdims=True), points)
    low, high = inverted_interval(np.sort(first_crossings(gaps @ subset_weights(gaps.shape[1]), points)))
    found = np.exp([estimate, min(low, estimate), max(high, estimate)])
    return dict(zip(MULTIPLIER_COLUMNS, [*map(float, found), *map(float, ends), gaps.shape[1]]))


def first_crossings(gaps: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where each column of gaps (P, M), linear between points (P,), first falls to zero: (M,).

    Minus infinity if it is below zero from the first point on, infinity if it never falls to zero.
    """
    crossings = np.full(gaps.shape[1], np.inf)
    for place in reversed(range(len(points) - 1)):  # so that the first crossing is written last
        start, end = gaps[place], gaps[place + 1]
        crossed = (start > 0) & (end <= 0)
        share = start / np.where(crossed, start - end, 1)
        crossings = np.where(crossed, points[place] + share * (points[place + 1] - points[place]), crossings)
    return np.where(gaps[0] > 0, crossings, np.where(gaps[0] < 0, -np.inf, points[0]))


def bounded_text(multiplier: float, smallest: float, largest: float) -> str:
    """The multiplier with two decimals, or its bound, such as "> 2"; empty if unknown."""
    if np.isnan(multiplier):
        return ""
    if multiplier < smallest:
        return f"< {smallest:.3g}"
    return f"> {largest:.3g}" if multiplier > largest else f"{multiplier:.2f}"


def error_ratios(arm: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    """The error ratio at each budget point: one row per column of `arm`, with the columns of `compare_logs`.

    arm, baseline: errors (seeds x points) with the same names of points, such as 0.25, 0.5 and 1.
    """
    return pd.DataFrame([{"point": point} | compare_logs(arm[point], baseline[point]) for point in arm])
