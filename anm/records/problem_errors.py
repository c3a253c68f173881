"""Errors per problem as compact text in a record: two bytes an error."""

import base64

import numpy as np

PER_OCTAVE, LOWEST = 512, 2.0**-100  # codes per factor of two (steps of 0.14 %); the error of code 1
# Code 0 stands for an error of 0, the largest code for one that is not finite or above 2^28.
LARGEST_CODE = 2**16 - 1


def encode(errors: np.ndarray) -> str:
    """Base64 of the 16-bit codes of errors (S, N), row by row: the logarithm, rounded to 1/512 of an octave."""
    codes = np.full(errors.shape, LARGEST_CODE)
    finite = np.isfinite(errors) & (errors >= 0)
    logs = np.log2(np.where(finite & (errors > 0), errors, LOWEST) / LOWEST)
    codes[finite] = np.clip(1 + np.rint(PER_OCTAVE * logs), 1, LARGEST_CODE)[finite]
    codes[errors == 0] = 0
    return base64.b64encode(codes.astype("<u2").tobytes()).decode("ascii")


def decode(text: str, seeds: int) -> np.ndarray:
    """Errors (S, N), float64, to 0.07 %; NaN where an error was not finite.

    Raises `ValueError` on text that does not hold a whole number of errors for each of `seeds` seeds.
    """
    codes = np.frombuffer(base64.b64decode(text, validate=True), "<u2")
    if not codes.size or codes.size % seeds:
        raise ValueError(f"holds {codes.size} errors, which {seeds} seeds cannot share; read it with the run's seeds")
    errors = LOWEST * 2.0 ** ((codes.astype(float) - 1) / PER_OCTAVE)
    errors = np.where(codes == 0, 0.0, np.where(codes == LARGEST_CODE, np.nan, errors))
    return errors.reshape(seeds, -1)
