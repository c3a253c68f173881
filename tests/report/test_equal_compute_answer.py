"""The answer of a comparison: its three sentences, their limits, and regimes without a claim."""

import pytest
from comparisons import write_comparison

from anm.report.equal_compute_answer import answer_sentences, comparison_verdict, first_screen, limits

FACTORS = {"random": 2.0, "adversarial": 1.4, "one-step-denoising": 0.8, "any-noise": 1.0}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_comparison(tmp_path_factory.mktemp("comparison"), FACTORS)


def test_three_sentences_say_who_wins_and_by_how_much(results):
    mining, inputs, control = answer_sentences(results)
    assert mining.startswith("Contrastive training with mined negatives does not pay: after the same compute,")
    assert "in 0 of 2 comparisons, higher in 2; all intervals of its compute multiplier end below 0." in mining
    assert inputs.startswith("Mined wrong answers as inputs of a denoising loss pay:")
    assert "in 2 of 2 comparisons (inverse-4 −" in inputs and "multiplier 1." in inputs
    assert control.startswith("Noise of every strength without any negatives (any-noise):")


def test_the_limits_name_sizes_seeds_and_failed_gates(results):
    assert limits(results) == (
        "Limits: 2 regimes of small problems (n = 4 to 6), one kind of network, short trainings, 10 seeds. "
        "No claim on inverse-20: the baseline fails the gate there."
    )


def test_many_gains_become_a_range(tmp_path):
    results = write_comparison(tmp_path, FACTORS | {"any-noise": 0.7})
    assert "in 2 of 2 comparisons (inverse-4 −" in answer_sentences(results)[2]
    regimes = {f"inverse-{n}": {"task": "inverse", "n": n, "answer_bound": 10, "budget_steps": 400} for n in (4, 6)}
    regimes |= {f"{name}-again": settings | {"width": 64} for name, settings in regimes.items()}
    more = write_comparison(tmp_path / "more", FACTORS | {"any-noise": 0.7}, regimes)
    assert "in 4 of 4 comparisons (by " in answer_sentences(more)[2] and "multipliers > 2)" in answer_sentences(more)[2]


def test_a_regime_that_fails_its_gate_carries_no_claim(tmp_path):
    factors = FACTORS | {("inverse-6", "adversarial"): 0.5}
    results = write_comparison(tmp_path, factors, levels={"inverse-6": 0.029})
    said = comparison_verdict(results)
    assert "inverse-6: no claim (fails its gate: " in said
    assert "inverse-6, " not in said and "No claim on inverse-6 and inverse-20:" in said
    assert "lower than that of denoising alone in 0 of 1 comparison, higher in 1" in answer_sentences(results)[0]


def test_no_claim_at_all_if_every_gate_fails_or_no_baseline_ran(tmp_path):
    failed = write_comparison(tmp_path / "failed", FACTORS, levels={"inverse-4": 0.04, "inverse-6": 0.03})
    assert answer_sentences(failed) == ["No answer: no regime of the declared family passes its gate."]
    skip = [("inverse-4", "none"), ("inverse-6", "none")]
    unknown = write_comparison(tmp_path / "unknown", FACTORS, skip=skip)
    assert answer_sentences(unknown) == ["No answer yet: a run of none is missing."]
    assert "lower" not in comparison_verdict(failed) and "lower" not in comparison_verdict(unknown)


def test_the_verdict_has_a_line_for_each_comparison(results):
    lines = comparison_verdict(results).split("\n")
    assert lines[:4] == [*answer_sentences(results), limits(results)]
    (line,) = [line for line in lines if line.startswith("inverse-6, adversarial: ")]
    assert "higher, error ratio 1." in line and line.endswith("10 seeds")
    assert len(lines) == 4 + 8 + 2 and lines[-2].startswith("inverse-4-wide: no claim (not in the declared family")


def test_gaps_show_on_the_first_screen(results, tmp_path):
    assert "notice" not in first_screen(results)
    gap = write_comparison(tmp_path, FACTORS, skip=[("inverse-6", "adversarial")])
    assert "1 incomplete run" in first_screen(gap) and "is not shown to pay" in first_screen(gap)
    assert "without a result in 1" in first_screen(gap)
