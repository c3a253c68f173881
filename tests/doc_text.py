"""The numbers that the Markdown files state, and whether a value rounds to them."""

import re
from decimal import Decimal
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
NUMBER = r"[-+\N{MINUS SIGN}]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?"


def text_of(path: str, heading: str) -> str:
    """The text of a section of a Markdown file."""
    (section,) = re.findall(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", (PROJECT / path).read_text(), flags=re.MULTILINE | re.DOTALL
    )
    return section


def numbers(text: str) -> list[Decimal]:
    """The numbers in a text, in order, with as many digits as are written."""
    return [Decimal(number.replace("\N{MINUS SIGN}", "-").replace(",", "")) for number in re.findall(NUMBER, text)]


def same_as_written(value: float, written: Decimal) -> bool:
    """Whether a value rounds to the written number; the last zeros of hundreds are not digits."""
    last = (written.normalize() if abs(written) >= 100 else written).as_tuple().exponent
    # Half of the last digit, or a little more for a number that was rounded twice.
    return abs(Decimal(float(value)) - written) <= Decimal((0, (6,), last - 1))


def all_as_written(values, written: list[Decimal]) -> bool:
    """Whether there are as many values as written numbers, and all are the same."""
    return all(same_as_written(*pair) for pair in zip(values, written, strict=True))


def table_rows(text: str) -> list[list[str]]:
    """The cells of each table row whose first cell is code."""
    return [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
