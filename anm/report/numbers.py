"""How numbers are written for a reader."""

import math

from anm.stats import MARGIN

THIN = "\u202f"  # a narrow space that does not break
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value, digits: int = 3) -> str:
    """A number for a reader: `digits` significant ones, powers of ten written out ("2.3 × 10⁻⁶")."""
    if value is None or not math.isfinite(value):
        return "—"
    if value != 0 and not 1e-4 <= abs(value) < 1e5:
        factor, power = f"{value:.{digits - 1}e}".split("e")
        return f"{factor} × 10{str(int(power)).translate(SUPERSCRIPTS)}".replace("-", "−")
    value = float(f"{value:.{digits - 1}e}")
    places = max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))
    return f"{value:,.{places}f}".replace("-", "−")


def percent(value: float, sign: bool = True) -> str:
    """A share as percent, with its sign; hardly any is 0."""
    if not math.isfinite(value):
        return "—"
    if abs(value) < 5e-7:
        return f"0{THIN}%"
    return f"{'−' if value < 0 else '+' if sign else ''}{number(100 * abs(value), 2)}{THIN}%"


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shares(row) -> tuple[float, float, float]:
    """A difference and its interval as shares of the baseline's mean; NaN where that is missing or zero."""
    base = row["margin"] / MARGIN
    if not (math.isfinite(base) and base > 0):
        return math.nan, math.nan, math.nan
    return row["relative"], row["ci_low"] / base, row["ci_high"] / base


def interval(row) -> str:
    """A difference in percent with its interval, or that there is none."""
    relative, low, high = shares(row)
    if not row["margin"] > 0:
        return "— (no error of the baseline to take a share of)"
    if not math.isfinite(low):
        return f"{percent(relative)} (no interval from {counted(int(row['n_seeds']), 'seed')})"
    return f"{percent(relative)} (95{THIN}% interval {percent(low)} to {percent(high)})"


def span(low: float, high: float, digits: int = 4) -> str:
    """Two numbers as "low to high", with a power of ten that they share written once."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "—"
    first, second = number(low, digits), number(high, digits)
    factor, times, power = first.partition(" × ")
    return f"{factor} to {second}" if times and second.endswith(f" × {power}") else f"{first} to {second}"


def reach(values) -> str:
    """One value, or "low to high"."""
    low, high = min(values := list(values)), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
