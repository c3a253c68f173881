"""Numbers as text and as table cells."""

import math

from anm.analysis.statistics import MARGIN
from anm.report.page import Cell, html

THIN = "\u202f"  # a narrow space that does not break
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value, digits: int = 3) -> str:
    """A number with so many significant digits; very large and small ones as "2.3 × 10⁻⁶"."""
    if value is None or not math.isfinite(value):
        return "—"
    if value != 0 and not 1e-4 <= abs(value) < 1e5:
        factor, power = f"{value:.{digits - 1}e}".split("e")
        return f"{factor} × 10{str(int(power)).translate(SUPERSCRIPTS)}".replace("-", "−")
    value = float(f"{value:.{digits - 1}e}")
    places = max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))
    return f"{value:,.{places}f}".replace("-", "−")


def percent(value: float, sign: bool = True) -> str:
    """A share in percent, with its sign; a share below 5e-7 is 0."""
    if not math.isfinite(value):
        return "—"
    if abs(value) < 5e-7:
        return f"0{THIN}%"
    return f"{'−' if value < 0 else '+' if sign else ''}{number(100 * abs(value), 2)}{THIN}%"


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 seed", "8 seeds"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shares(row) -> tuple[float, float, float]:
    """A difference and its interval as shares of the baseline's mean, or NaN."""
    base = row["margin"] / MARGIN
    if not (math.isfinite(base) and base > 0):
        return math.nan, math.nan, math.nan
    return row["relative"], row["ci_low"] / base, row["ci_high"] / base


def interval(row) -> str:
    """The 95 % interval of a difference in percent of the baseline's mean."""
    _, low, high = shares(row)
    if not math.isfinite(low):
        return f"no interval from {counted(int(row['n_seeds']), 'seed')}"
    return f"95{THIN}% interval {percent(low)} to {percent(high)}"


def difference_text(row) -> str:
    """A difference in percent of the baseline's mean, with its interval."""
    if not row["margin"] > 0:
        return "— (the baseline has no error to compare with)"
    return f"{percent(shares(row)[0])} ({interval(row)})"


def range_text(low: float, high: float, digits: int = 4) -> str:
    """Two numbers as "low to high"; a power of ten that they share is written once."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "—"
    first, second = number(low, digits), number(high, digits)
    factor, times, power = first.partition(" × ")
    return f"{factor} to {second}" if times and second.endswith(f" × {power}") else f"{first} to {second}"


def format_range(values) -> str:
    """The one value of these whole numbers, or "low to high"."""
    low, high = min(values := list(values)), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def number_cell(value, digits: int = 4, exact: bool = False) -> Cell | None:
    """A number; `exact`: all its digits on hover. None if it is unknown."""
    if value is None or value != value:
        return None
    return Cell(number(value, digits), sort=value, title=repr(float(value)) if exact else None)


def count_cell(value) -> Cell | None:
    """A number rounded to a whole one. None if it is unknown."""
    return None if value is None or value != value else Cell(f"{value:,.0f}", sort=value)


def published_cell(value: float) -> Cell | None:
    """A published number, with its own digits. None if it is unknown."""
    return Cell(f"{value:g}", sort=value) if value == value else None


def p_cell(value: float) -> Cell | None:
    """A p value with three decimals. None if it is unknown."""
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", sort=value) if value == value else None


def difference_cell(row) -> Cell:
    """A difference in percent of the baseline's mean, its interval below."""
    relative, low, high = shares(row)
    return interval_cell(percent(relative), f"{percent(low)} to {percent(high)}", relative)


def interval_cell(value: str, below: str, sort: float) -> Cell:
    """A number with its interval below; an unknown interval is left out."""
    small = html(' <span class="range">{}</span>', below) if "—" not in below else ""
    return Cell(html("{}{}", value, small), sort=sort)
