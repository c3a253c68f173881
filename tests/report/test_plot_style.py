"""Strategies are told apart with and without colour, and text is never read as a formula."""

import pandas as pd
import pytest
from wcag import contrast

from anm.report import plot_style


def test_contrast_by_hand():
    assert contrast("#000000", "#ffffff") == pytest.approx(21) and contrast("#777777", "#ffffff") == pytest.approx(
        4.48, abs=0.01
    )


def test_colours_of_lines_and_text_contrast_with_white():
    series = [style[0] for style in (*plot_style.STRATEGY_STYLES.values(), *plot_style.MORE_STYLES)]
    assert all(contrast(colour, "#ffffff") >= 3 for colour in series)
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in (plot_style.INK, plot_style.MUTED))


def test_markers_differ_and_the_first_eight_styles_differ_in_everything():
    every = [*plot_style.STRATEGY_STYLES.values(), *plot_style.MORE_STYLES]
    assert len({marker for _, marker, _ in every}) == len(every)
    for part in zip(*every[:8]):
        assert len(set(map(str, part))) == 8


def test_a_strategy_keeps_its_style_where_others_are_missing():
    names = pd.CategoricalDtype(["none", "ascent", "pgd"])
    everyone = plot_style.strategy_styles(pd.Series(["none", "ascent", "pgd"], dtype=names))
    alone = plot_style.strategy_styles(pd.Series(["pgd"], dtype=names))
    assert alone["pgd"] == everyone["pgd"] != everyone["ascent"]


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb\tc", "a b c"), ("$x$", r"\$x\$"), ("x" * 50, "x" * 25 + "…"), ("", ""), ("none", "none")]
)
def test_plain_text(text, shown):
    assert plot_style.plain_text(text) == shown


def test_labels_that_would_look_the_same_are_numbered():
    assert plot_style.short_labels(["none", "pgd"]) == ["none", "pgd"]
    assert plot_style.short_labels(["y" * 30 + "a", "y" * 30 + "b"], 8) == ["1: yyyy…", "2: yyyy…"]
