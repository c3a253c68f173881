"""The gate: whether a regime (task, n, width, budget) can tell strategies apart.

Where the baseline is no better than a linear fit, the network has hardly learned the task. Where it is at the limit,
nothing is left to gain. Nothing is claimed on a regime that fails.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

MOST_OF_REFERENCE = 0.5  # the error of `none` is at most half of the best least-squares reference's
LEAST_OF_LIMIT = 10.0  # and at least ten times the limit
FAR = 1000  # times the limit; how much more is of no interest


@dataclass(frozen=True)
class GateResult:
    """Whether a regime passed its gate, the two ratios, and a sentence that says why.

    error: geometric mean over seeds of the errors of `none`. to_reference: that over the error of the best
    least-squares reference. to_limit: that over the limit; infinite where the limit is 0.
    """

    passed: bool
    error: float
    to_reference: float
    to_limit: float
    sentence: str


def check_gate(errors: np.ndarray, references: pd.DataFrame) -> GateResult:
    """Checks the errors (S,) of `none` on `same` at the budget against the references.

    references: as `anm.baselines.closed_form.closed_form_table` gives them. A task without a limit has the limit 0;
    one without least squares is compared with the constant; the sentence says so. Seeds without a finite error are
    left out. Raises `ValueError` without any error or reference.
    """
    errors = np.asarray(errors, float)
    if not np.isfinite(errors).any():
        raise ValueError("no finite error of `none` at the budget: finish its run first")
    with np.errstate(divide="ignore"):  # an error of 0 has the geometric mean 0, which fails at the limit
        error = float(np.exp(np.mean(np.log(errors[np.isfinite(errors)]))))
    reference, reference_text = best_reference(references)
    limit, limit_text = lowest_limit(references)
    to_reference = over(error, reference)
    to_limit = over(error, limit)
    below, above = to_reference <= MOST_OF_REFERENCE, error > 0 and to_limit >= LEAST_OF_LIMIT
    failures = []
    if not below:
        failures.append(f"{to_reference:.3g} times {reference_text}; the gate allows at most {MOST_OF_REFERENCE:g}")
    if not above:
        failures.append(f"{to_limit:.2g} times {limit_text}; the gate requires at least {LEAST_OF_LIMIT:g}")
    height = f"{to_limit:.2g} times" if to_limit < FAR else "far above" if np.isfinite(to_limit) else "above"
    facts = failures or [f"{to_reference:.2g} times {reference_text}", f"{height} {limit_text}"]
    verdict = "Failed" if failures else "Passed"
    sentence = f"{verdict}: the error of `none`, {error:.3g}, is {', and '.join(facts)}."
    return GateResult(not failures, error, to_reference, to_limit, sentence)


def best_reference(references: pd.DataFrame) -> tuple[float, str]:
    """The lowest error of a least-squares reference, or else the constant's, with its description."""
    for kind, text in (
        ("least squares", "that of the best least-squares reference"),
        ("constant", "that of the constant"),
    ):
        rows = references[references["kind"] == kind]
        if len(rows):
            best = rows.loc[rows["mse_same"].idxmin()]
            note = "" if kind == "least squares" else "; the task has no least-squares reference"
            return float(best["mse_same"]), f"{text} ({best['reference']}, {best['mse_same']:.3g}{note})"
    raise ValueError("references hold neither least squares nor a constant: pass the rows of closed_form_table")


def lowest_limit(references: pd.DataFrame) -> tuple[float, str]:
    """The lowest limit, or else 0, with its description."""
    rows = references[references["kind"] == "limit"]
    if rows.empty:
        return 0.0, "the limit, taken as 0 because the task states none"
    best = rows.loc[rows["mse_same"].idxmin()]
    return float(best["mse_same"]), f"the limit ({best['reference']}, {best['mse_same']:.3g})"


def over(error: float, other: float) -> float:
    """error / other; where the other is 0: infinity, or 1 if both are 0."""
    return error / other if other > 0 else np.inf if error > 0 else 1.0
