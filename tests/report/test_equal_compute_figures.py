"""The figures of a comparison: one panel a regime, and the picture for the README."""

import pytest
from comparisons import write_comparison

from anm.report import equal_compute_figures as figures

FACTORS = {"random": 2.0, "adversarial": 1.4, "one-step-denoising": 0.8}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    return write_comparison(folder, FACTORS, levels={"inverse-6": 0.029}, skip=[("inverse-4", "random")])


def test_the_forest_has_a_panel_per_regime_with_arms(results):
    made = figures.forest(results)
    assert [title for title, _ in figures.forest_panels(results)] == ["inverse-4", "inverse-6", "inverse-4-wide"]
    assert made.count("<svg") == 3 and 'class="panels small"' in made
    assert "The baseline alone ran in inverse-20 (fails its gate" in made
    assert "adversarial, inverse-4: 1." in made  # the text alternative


def test_each_regime_without_a_claim_has_its_reason(results):
    assert figures.no_claim_reason(results, "inverse-4") == ""
    reason = figures.no_claim_reason(results, "inverse-6")
    assert reason.startswith("fails its gate: ") and reason.endswith(" of least squares")
    assert figures.no_claim_reason(results, "inverse-4-wide") == "not in the declared family"
    made = figures.forest(results)
    assert reason in made and "no result" in made


def test_the_picture_is_the_same_at_every_call(results, tmp_path):
    one, two = (figures.write_forest(results, tmp_path / name) for name in ("one.png", "two.png"))
    assert one.read_bytes() == two.read_bytes() and one.read_bytes().startswith(b"\x89PNG")


def test_the_error_by_compute_has_references_in_range(results):
    made = figures.error_by_compute(results)
    assert made.count("<svg") == 3 and "best least squares" in made
    lines = figures.lines(results, "inverse-6")
    assert lines["best least squares"] < lines["constant answer"]
