"""Paired comparison of arms with the baseline on log errors per seed, shown as ratios.

An arm is a strategy with its settings. A ratio below 1 means a lower error than the baseline's. Errors are a tidy
table (columns strategy, seed, mse) or a mapping arm -> {seed: error}. A score that is not positive and finite counts
as missing. The interval and p come from one sign-flip test: see `anm.analysis.sign_flips`.
"""

from bisect import bisect_left
from collections.abc import Mapping
from math import ceil, log2

import numpy as np
import pandas as pd
from scipy.special import nctdtr, stdtrit

from anm.analysis.sign_flips import inverted_interval, one_sided_p, two_sided_p, typical_values
from anm.analysis.statistics import ALPHA, MIN_SEEDS, holm, score_table

RATIO_MARGIN = 0.05  # equivalent: a ratio between 1 / 1.05 and 1.05
POWER = 0.8
MOST_SEEDS = 100_000  # no study has more; the search for the seeds needed ends here

RATIO_COLUMNS = "n_seeds missing ratio ci_low ci_high p p_equivalence sd_log seeds_needed".split()
FAMILY_COLUMNS = "p_holm seeds_needed_holm claim significant equivalent outcome".split()


def compare_with_baseline(
    scores: pd.DataFrame | Mapping[str, Mapping[int, float]], baseline: str = "none"
) -> pd.DataFrame:
    """One row per arm: `arm` and the columns of `compare_logs`, against the baseline.

    Raises `ValueError` if the baseline has no scores, or an arm has two scores at a seed.
    """
    table = score_table(scores)
    if baseline not in table:
        raise ValueError(f"no scores of the baseline {baseline!r}, only of {list(table)}: add its run")
    rows = [{"arm": arm} | compare_logs(table[arm], table[baseline]) for arm in table if arm != baseline]
    return pd.DataFrame(rows, columns=["arm", *RATIO_COLUMNS])


def compare_logs(errors: pd.Series, baseline: pd.Series) -> dict:
    """The paired comparison of errors with the baseline's, both by seed.

    n_seeds: paired seeds; missing: the seeds that only one of the two has. ratio: of geometric means. ci_low, ci_high:
    95 % interval that inverts the sign-flip test; 0 and infinity below six seeds. p: two-sided sign flip.
    p_equivalence: the larger of two one-sided sign-flip tests against the margin of +-5 %; below 0.05 exactly if the
    inverted 90 % interval lies inside the margin (Schuirmann 1987, doi:10.1007/BF01068419). sd_log: SD of the paired
    log differences. seeds_needed: to detect a ratio of 1.05 with 80 % power at that SD, in one uncorrected test.
    """
    both = pd.DataFrame({"arm": errors, "baseline": baseline}, dtype=float)
    logs = np.log(both.where((both > 0) & np.isfinite(both)))
    differences = (logs["arm"] - logs["baseline"]).dropna().to_numpy()
    missing = tuple(logs.index[logs["arm"].notna() ^ logs["baseline"].notna()])
    return {"n_seeds": len(differences), "missing": missing} | ratio_statistics(differences)


def ratio_statistics(differences: np.ndarray) -> dict:
    """The numbers of `compare_logs` for paired log differences (N,); NaN without differences."""
    if len(differences) == 0:
        return dict.fromkeys(RATIO_COLUMNS[2:], np.nan)
    values, margin = typical_values(differences), np.log1p(RATIO_MARGIN)
    low, high = np.exp(inverted_interval(values))
    deviation = np.std(differences, ddof=1) if len(differences) > 1 else np.nan
    return {
        "ratio": float(np.exp(np.mean(differences))),
        "ci_low": float(low),
        "ci_high": float(high),
        "p": float(two_sided_p(values)),
        "p_equivalence": float(max(one_sided_p(values, -margin)[0], one_sided_p(values, margin)[1])),
        "sd_log": float(deviation),
        "seeds_needed": seeds_needed(deviation),
    }


def correct_family(table: pd.DataFrame, primary: pd.Series | None = None) -> pd.DataFrame:
    """The table of all comparisons with the outcome of its declared family, over which Holm's method runs once.

    primary: which rows are in the family; all, by default. A declared comparison without seeds counts as p = 1, so
    that a missing run makes no other one significant. Adds p_holm; seeds_needed_holm (as seeds_needed, at 0.05 over
    the size of the family: Holm's first step); claim: in the family and at least 6 seeds; significant: claim and
    p_holm < 0.05; equivalent: claim and p_equivalence < 0.05, uncorrected; outcome, in words: "no claim", else
    "equivalent", even if a smaller difference is significant, else "lower", "higher" or "inconclusive".
    """
    family = pd.Series(True, index=table.index) if primary is None else primary
    alpha = ALPHA / max(1, int(family.sum()))
    p_holm = pd.Series(holm(table["p"].fillna(1).where(family).to_numpy(float)), index=table.index)
    p_holm = p_holm.where(table["p"].notna())
    claim = family & (table["n_seeds"] >= MIN_SEEDS)
    significant, equivalent = claim & (p_holm < ALPHA), claim & (table["p_equivalence"] < ALPHA)
    lower = significant & (table["ratio"] < 1)
    words = ["no claim", "equivalent", "lower", "higher"]
    outcome = np.select([~claim, equivalent, lower, significant], words, "inconclusive")
    needed = table["sd_log"].where(family).map(lambda deviation: seeds_needed(deviation, alpha=alpha))
    found = dict(zip(FAMILY_COLUMNS, (p_holm, needed, claim, significant, equivalent, outcome)))
    return table.assign(**found)


def power(seeds: int, deviation: float, ratio: float = 1 + RATIO_MARGIN, alpha: float = ALPHA) -> float:
    """The chance that a two-sided paired t test on log errors finds this ratio; the sign-flip test has nearly the same.

    deviation: SD of the paired log differences, which are normal. Source: noncentral t, Cohen 1988, Statistical Power
    Analysis for the Behavioral Sciences, chapter 2.
    """
    if deviation == 0:
        return 1.0
    critical, shift = stdtrit(seeds - 1, 1 - alpha / 2), abs(np.log(ratio)) * np.sqrt(seeds) / deviation
    below = np.array([-critical, critical])
    # The library gives NaN where the chance is below the smallest number
    opposite, missed = np.nan_to_num(nctdtr(seeds - 1, shift, below))
    return float(1 - missed + opposite)


def seeds_needed(deviation: float, ratio: float = 1 + RATIO_MARGIN, alpha: float = ALPHA) -> float:
    """The fewest seeds that detect this ratio at level alpha with 80 % power: see `power`.

    At least as many as the sign-flip test needs for p below alpha, 6 at 0.05. Infinite above 100,000, NaN if unknown.
    """
    if not np.isfinite(deviation):
        return np.nan
    counts = range(ceil(log2(2 / alpha)), MOST_SEEDS)
    place = bisect_left(counts, POWER, key=lambda seeds: power(seeds, deviation, ratio, alpha))
    return float(counts[place]) if place < len(counts) else np.inf
