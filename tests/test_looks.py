"""Colours that everybody can tell apart, and text that stays text."""

import pandas as pd
import pytest

from anm import looks


def luminance(colour: str) -> float:
    """Relative luminance. Source: WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_by_hand():
    assert contrast("#000000", "#ffffff") == pytest.approx(21) and contrast("#777777", "#ffffff") == pytest.approx(
        4.48, abs=0.01
    )


def test_series_can_be_seen_on_white_and_text_can_be_read():
    series = [look[0] for look in (*looks.LOOKS.values(), *looks.MORE_LOOKS)]
    assert all(contrast(colour, "#ffffff") >= 3 for colour in series)
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in (looks.INK, looks.MUTED))


def test_strategies_differ_without_their_colours_and_the_first_in_everything():
    every = [*looks.LOOKS.values(), *looks.MORE_LOOKS]
    assert len({marker for _, marker, _ in every}) == len(every)
    for part in zip(*every[:8]):
        assert len(set(map(str, part))) == 8


def test_a_strategy_keeps_its_look_where_others_are_missing():
    names = pd.CategoricalDtype(["none", "ascent", "pgd"])
    everyone = looks.looks(pd.Series(["none", "ascent", "pgd"], dtype=names))
    alone = looks.looks(pd.Series(["pgd"], dtype=names))
    assert alone["pgd"] == everyone["pgd"] != everyone["ascent"]


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb\tc", "a b c"), ("$x$", r"\$x\$"), ("x" * 50, "x" * 25 + "…"), ("", ""), ("none", "none")]
)
def test_plain_text(text, shown):
    assert looks.plain(text) == shown
