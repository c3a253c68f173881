"""The sign-flip test of paired differences, and the interval that inverts it.

Under a shift of theta, flipping the signs of the seeds in a subset raises the sum of the differences exactly if their
mean over the subset is below theta. So the shifts that the test does not reject lie between two order statistics of
the means over subsets of seeds: no search is needed. All subsets count up to 16 seeds. For more seeds, a fixed random
sample of 65,535 subsets stands for all of them.
Source: Hartigan 1969, Using Subsample Values as Typical Values, J. Am. Stat. Assoc. 64(328), 1303-1317. Random flips
count the data themselves as one flip: Phipson and Smyth 2010, doi:10.2202/1544-6115.1585.
"""

from functools import lru_cache

import numpy as np

from anm.analysis.statistics import EXACT_FLIPS

ROUNDING = 1e-12  # means that differ by less, relative to the largest, count as equal


@lru_cache(maxsize=8)
def subset_weights(seeds: int) -> np.ndarray:
    """Weights (seeds, M) of the mean over each of M subsets of seeds; the same at every call."""
    if 2**seeds <= EXACT_FLIPS:
        members = np.arange(1, 2**seeds)[:, None] >> np.arange(seeds) & 1
    else:
        members = np.random.default_rng(0).integers(0, 2, (EXACT_FLIPS - 1, seeds))
        members = members[members.any(axis=1)]
    return np.ascontiguousarray((members / members.sum(axis=1, keepdims=True)).T)


def typical_values(differences: np.ndarray) -> np.ndarray:
    """The means of differences (..., N) over subsets of seeds, sorted: (..., M)."""
    return np.sort(differences @ subset_weights(differences.shape[-1]), axis=-1)


def inverted_interval(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The shifts that the two-sided test at 1 - level does not reject: lower and upper ends, each (...).

    values: sorted typical values (..., M). Both ends are infinite where the test cannot reject: at 95 % below six
    seeds, at 90 % below five.
    """
    rank = int((1 - level) / 2 * (values.shape[-1] + 1))
    if rank == 0:
        return np.full(values.shape[:-1], -np.inf), np.full(values.shape[:-1], np.inf)
    return values[..., rank - 1], values[..., -rank]


def one_sided_p(values: np.ndarray, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """p against a mean of at most `shift`, and p against a mean of at least `shift`, each (...).

    values: sorted typical values (..., M). The first p is small where the differences are above the shift.
    """
    rounding = ROUNDING * (np.maximum(-values[..., :1], values[..., -1:]) + abs(shift))
    at_most = np.count_nonzero(values <= shift + rounding, axis=-1)
    at_least = np.count_nonzero(values >= shift - rounding, axis=-1)
    return (1 + at_most) / (values.shape[-1] + 1), (1 + at_least) / (values.shape[-1] + 1)


def two_sided_p(values: np.ndarray) -> np.ndarray:
    """Two-sided p of the sign-flip test that the differences are symmetric about zero, (...).

    values: sorted typical values (..., M). Up to 16 seeds it equals `anm.analysis.statistics.sign_flip_p`. For more
    seeds it uses the flips of the interval, so that p is below 0.05 exactly if the 95 % interval excludes zero.
    """
    return np.minimum(1, 2 * np.minimum(*one_sided_p(values)))
