"""Numbers as text."""

import pytest

from anm.report.formatting import number, percent, range_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0096921, "0.00969"),
        (0.99995, "1.00"),
        (2.34567e-6, "2.35 × 10⁻⁶"),
        (0, "0.00"),
        (-3.14159, "−3.14"),
        (1234.5, "1,230"),
        (1e9, "1.00 × 10⁹"),
        (-2e-9, "−2.00 × 10⁻⁹"),
        (None, "—"),
        (float("nan"), "—"),
        (float("inf"), "—"),
    ],
)
def test_a_number_has_its_significant_digits(value, text):
    assert number(value) == text


def test_percent_and_range():
    assert (
        percent(0.0084) == "+0.84\u202f%"
        and percent(-0.123) == "−12\u202f%"
        and percent(0.5, sign=False) == "50\u202f%"
    )
    assert range_text(9.67e-12, 9.71e-12) == "9.670 to 9.710 × 10⁻¹²" and range_text(0.1, 0.2) == "0.1000 to 0.2000"
