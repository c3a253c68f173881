"""Paired comparison of strategies over seeds, as declared before the runs.

Scores are a tidy table (columns strategy, seed, mse; one energy, split and scale) or a mapping strategy -> {seed: mse}.
All in float64. A score that is not finite counts as missing.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

MIN_SEEDS = 6  # with fewer seeds the exact test cannot reach 0.05: its lowest p is 2 / 2^seeds
ALPHA = 0.05
MARGIN = 0.01  # equivalence margin, as a share of the baseline's mean
RESAMPLES = 9999
EXACT_FLIPS = 2**16  # all sign flips for up to 16 seeds; for more seeds, this many random ones

PAIR_COLUMNS = (
    "strategy against n_seeds mean_difference relative ci_low ci_high p p_holm significant margin p_tost equivalent "
    "claim missing"
).split()
SUMMARY_COLUMNS = "strategy n_seeds mean sd ci_low ci_high missing".split()


def compare(scores: pd.DataFrame | Mapping[str, Mapping[int, float]], baseline: str = "none") -> pd.DataFrame:
    """Every pair of strategies on the seeds that both have, one row each.

    Pairs with the baseline come first. A difference is `strategy` minus `against`; negative: `strategy` is better.

    n_seeds: paired seeds; missing: the seeds that only one of the two has. mean_difference with its 95 % interval
    ci_low, ci_high (BCa bootstrap over seeds; NaN for one seed); relative: as a share of the baseline's mean.
    p: exact two-sided sign flip; p_holm: corrected over all rows; significant: p_holm < 0.05. margin: 1 % of the
    baseline's mean; p_tost, equivalent: two one-sided paired t tests against it. claim: at least 6 seeds; without it
    nothing is significant or equivalent. Without the baseline, relative, margin and p_tost are NaN.
    Raises `ValueError` if a strategy has two scores at a seed.
    """
    table = score_table(scores)
    names = sorted(table, key=lambda name: name != baseline)
    base = table[baseline].mean() if baseline in table else np.nan
    rows = [compare_pair(table[strategy], table[against], base) for against, strategy in combinations(names, 2)]
    result = pd.DataFrame(rows, columns=PAIR_COLUMNS)
    result["p_holm"] = holm(result["p"].to_numpy(float))
    result["significant"] = result["claim"].astype(bool) & (result["p_holm"] < ALPHA)
    return result


def compare_pair(scores: pd.Series, others: pd.Series, base: float) -> dict:
    """One row of `compare`; both series by seed, NaN where missing. base: the baseline's mean."""
    both = scores.notna() & others.notna()
    a, b = scores[both].to_numpy(float), others[both].to_numpy(float)
    low, high = mean_interval(a - b)
    mean = float(np.mean(a - b)) if len(a) else np.nan
    p_tost, claim, margin = tost_p(a, b, MARGIN * base), len(a) >= MIN_SEEDS, MARGIN * base
    pair = {"strategy": scores.name, "against": others.name, "n_seeds": len(a), "claim": claim}
    pair["missing"] = tuple(scores.index[scores.notna() ^ others.notna()])
    effect = {"mean_difference": mean, "relative": mean / base if base else np.nan, "ci_low": low, "ci_high": high}
    equivalent = bool(claim and p_tost < ALPHA)
    return pair | effect | {"p": sign_flip_p(a - b), "margin": margin, "p_tost": p_tost, "equivalent": equivalent}


def geometric_ratio(scores: pd.DataFrame | Mapping[str, Mapping[int, float]], strategy: str, against: str) -> dict:
    """Paired ratio of geometric means, `strategy` over `against` (exploratory).

    All seeds have the same weight in it, even if their scores span decades. n_seeds, ratio, ci_low, ci_high (BCa),
    p (exact sign flip, uncorrected). Seeds without a positive score in both are left out.
    """
    table = np.log(score_table(scores)[[strategy, against]].where(lambda values: values > 0)).dropna()
    differences = (table[strategy] - table[against]).to_numpy(float)
    low, high = mean_interval(differences)
    mean = np.mean(differences) if len(differences) else np.nan
    ratio = {"ratio": np.exp(mean), "ci_low": np.exp(low), "ci_high": np.exp(high)}
    return {"n_seeds": len(differences), "p": sign_flip_p(differences)} | ratio


def summarise(scores: pd.DataFrame | Mapping[str, Mapping[int, float]]) -> pd.DataFrame:
    """Each strategy: seeds, mean, standard deviation over seeds, 95 % BCa interval of the mean.

    missing: the seeds that another strategy has and this one lacks.
    """
    table = score_table(scores)
    rows = []
    for name in table:
        values = table[name].dropna().to_numpy(float)
        mean = np.mean(values) if len(values) else np.nan
        deviation = np.std(values, ddof=1) if len(values) > 1 else np.nan
        absent = tuple(table.index[table[name].isna()])
        rows.append([name, len(values), mean, deviation, *mean_interval(values), absent])
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def score_table(scores: pd.DataFrame | Mapping[str, Mapping[int, float]]) -> pd.DataFrame:
    """Scores (seeds x strategies), strategies in the order given; NaN if missing or not finite."""
    if isinstance(scores, Mapping):
        entries = [(name, seed, mse) for name, seeds in scores.items() for seed, mse in seeds.items()]
        names = list(scores)
    else:
        entries = list(zip(scores["strategy"], scores["seed"], scores["mse"]))
        names = list(dict.fromkeys(scores["strategy"]))
    columns: dict[str, dict[int, float]] = {name: {} for name in names}
    for name, seed, mse in entries:
        if seed in columns[name]:
            raise ValueError(f"{name} has two scores at seed {seed}: choose rows of one split, energy and scale")
        columns[name][seed] = float(mse) if mse is not None and np.isfinite(mse) else np.nan
    seeds = sorted({seed for column in columns.values() for seed in column})
    values = {name: [column.get(seed, np.nan) for seed in seeds] for name, column in columns.items()}
    return pd.DataFrame(values, index=pd.Index(seeds, name="seed"), dtype=float)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of values (N,): BCa bootstrap, the same at every call.

    With few values it is too narrow, and it stays within their range. Equal values give an interval of width zero.
    Fewer than two values give (NaN, NaN).
    Source: Efron 1987, Better Bootstrap Confidence Intervals, doi:10.1080/01621459.1987.10478410.
    """
    from scipy.stats import bootstrap

    if len(values) < 2:
        return np.nan, np.nan
    if all_equal(values):
        return float(np.mean(values)), float(np.mean(values))
    how = {"n_resamples": RESAMPLES, "confidence_level": 0.95, "method": "BCa", "rng": np.random.default_rng(0)}
    interval = bootstrap((values,), np.mean, **how).confidence_interval
    return float(interval.low), float(interval.high)


def sign_flip_p(differences: np.ndarray) -> float:
    """Exact two-sided p of the sign-flip test on paired differences (N,).

    The hypothesis: differences are symmetric about zero. All 2^N sign flips are counted for up to 16 seeds. The lowest
    p is 2 / 2^N: 0.0625 with 5 seeds, 0.031 with 6, 0.002 with 10. One difference gives 1, none gives NaN.
    """
    from scipy.stats import permutation_test

    if len(differences) < 2:
        return 1.0 if len(differences) else np.nan
    how = {"permutation_type": "samples", "vectorized": True, "rng": np.random.default_rng(0)}
    return float(permutation_test((differences,), np.mean, n_resamples=EXACT_FLIPS, **how).pvalue)


def tost_p(a: np.ndarray, b: np.ndarray, margin: float) -> float:
    """p of two one-sided paired t tests that the mean of a - b lies outside +-margin.

    A small p means equivalent. Fewer than two pairs or no margin give NaN. Equal differences give 0 inside the margin
    and 1 outside.
    Source: Schuirmann 1987, doi:10.1007/BF01068419.
    """
    from statsmodels.stats.weightstats import ttost_paired

    if len(a) < 2 or not np.isfinite(margin):
        return np.nan
    if all_equal(a - b):
        return 0.0 if abs(np.mean(a - b)) < margin else 1.0
    return float(ttost_paired(a, b, -margin, margin)[0])


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p over the family (those that are not NaN). Source: Holm 1979."""
    # Not by statsmodels, whose `multipletests` collects garbage at every call: 0.3 s in a process with many objects
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sorts last
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def lowest_holm(p: np.ndarray, n_seeds: np.ndarray) -> np.ndarray:
    """The lowest Holm-adjusted p that each row of a family could have.

    For each row: its own p is the lowest of `sign_flip_p`, the p of the other rows are as given.
    """
    lowest = np.full(len(p), np.nan)
    for place in np.flatnonzero(np.isfinite(p)):
        lowest_p = 2.0 / 2.0 ** n_seeds[place]
        lowest[place] = holm(np.where(np.arange(len(p)) == place, lowest_p, p))[place]
    return lowest


def all_equal(values: np.ndarray) -> bool:
    """Whether values differ by rounding only. Bootstrap and t tests would treat that as variation."""
    return bool(np.ptp(values) <= 1e-10 * np.max(np.abs(values)))
