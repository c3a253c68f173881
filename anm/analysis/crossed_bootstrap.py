"""The ratio of two arms' errors where both seeds and test problems are samples.

The interval of `anm.analysis.log_ratios` holds for these test problems. This one holds for new problems too.
Source: Owen 2007, The Pigeonhole Bootstrap, doi:10.1214/07-AOAS122.
"""

from functools import lru_cache

import numpy as np

RESAMPLES = 2000


def crossed_ratio(errors: np.ndarray, baseline: np.ndarray, resamples: int = RESAMPLES, level: float = 0.95) -> dict:
    """The ratio of geometric means over seeds of mean errors over problems, with a percentile interval.

    errors, baseline (S, N): of the same seeds on the same problems. Each resample draws S seeds and N problems with
    replacement, independently of each other, and uses them for both arms; the same at every call. Seeds with an error
    that is not finite are left out. n_seeds, problems, ratio, ci_low, ci_high; NaN below two seeds. There is no exact
    bootstrap for crossed samples; this one tends to overstate the variance (Owen, section 4). With few seeds, a
    percentile interval is too narrow. Raises `ValueError` where the shapes differ.
    """
    errors, baseline = np.asarray(errors, float), np.asarray(baseline, float)
    if errors.shape != baseline.shape or errors.ndim != 2:
        raise ValueError(
            f"errors {errors.shape} and {baseline.shape}: both must be (seeds, problems), of the same runs"
        )
    usable = (np.isfinite(errors) & np.isfinite(baseline)).all(axis=1)
    seeds, problems = int(usable.sum()), errors.shape[1]
    found = {"n_seeds": seeds, "problems": problems, "ratio": np.nan, "ci_low": np.nan, "ci_high": np.nan}
    if seeds < 2 or problems < 2:
        return found
    errors, baseline = errors[usable], baseline[usable]
    seed_weights, problem_weights = resampling_weights(seeds, problems, resamples)
    by_seed = np.log(problem_weights @ errors.T) - np.log(problem_weights @ baseline.T)  # (resamples, seeds)
    low, high = np.quantile((seed_weights * by_seed).sum(axis=1), [(1 - level) / 2, (1 + level) / 2])
    estimate = np.mean(np.log(errors.mean(axis=1)) - np.log(baseline.mean(axis=1)))
    return found | {"ratio": float(np.exp(estimate)), "ci_low": float(np.exp(low)), "ci_high": float(np.exp(high))}


@lru_cache(maxsize=2)
def resampling_weights(seeds: int, problems: int, resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of seeds (resamples, seeds) and of problems (resamples, problems); each row sums to 1."""
    random = np.random.default_rng(0)
    counts = (random.multinomial(size, np.full(size, 1 / size), resamples) / size for size in (seeds, problems))
    return next(counts), next(counts)
