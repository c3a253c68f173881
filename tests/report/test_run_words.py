"""What the training notebook says at its end, and the curve that it draws while training."""

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from tiny import narrow, tiny  # noqa: F401

import anm
from anm.evaluation.scores import Evaluation
from anm.report.run_figures import reference_errors
from anm.report.run_words import conclusion, judged, negatives, not_shown, shown
from anm.training.loop import untrained


def scored(errors: list[float]) -> Evaluation:
    return Evaluation({split: {"mse": errors} for split in ("same", "harder")}, {}, 0.0)


def test_the_error_is_told_against_the_best_linear_reference(tmp_path):
    solver = untrained(tiny(tmp_path))
    best = reference_errors(solver.params.task_object(), 4)["same"].iloc[-1]
    same, harder = shown(solver, scored([2 * best, 4 * best]))
    assert "over seeds), 3.00 times that of the reference least squares." in same and "train longer" in same
    assert harder.startswith("On harder") and "train longer" not in harder


@pytest.mark.parametrize(("ratio", "said"), [(1.2, "not yet learnt"), (0.9, "near this"), (0.3, "well below")])
def test_the_three_verdicts(ratio, said):
    assert said in judged(ratio)


def test_the_negatives_of_the_last_window_are_described(tmp_path):
    solver = anm.train(tiny(tmp_path, strategy="adversarial"), log=lambda line: None)
    solver.history["by_level"]["false"][-1] = [0.75, float("nan"), 0.75, None]
    (said,) = negatives(solver)
    assert "75\N{NARROW NO-BREAK SPACE}% of the negatives are right answers: the loss raises" in said
    assert "mining steps lowered the energy" in said
    assert negatives(anm.train(tiny(tmp_path, strategy="none"), log=lambda line: None)) == []


def test_one_run_never_tells_whether_negatives_help(tmp_path):
    none, mined = (untrained(tiny(tmp_path, strategy=name)) for name in ("none", "adversarial"))
    assert "a strategy with negatives" in not_shown(none)[0] and "none after the same compute" in not_shown(mined)[0]
    assert "it has 2 seeds, and a claim takes 6" in not_shown(mined)[1]
    many = untrained(tiny(tmp_path, seeds="0-5"))
    assert not any("certain" in said for said in not_shown(many))
    lines = conclusion(mined, scored([0.1, 0.2])).splitlines()
    assert lines[0] == "This run shows:" and "It does not show:" in lines and max(map(len, lines)) <= 110


def test_an_executed_notebook_keeps_the_last_curve_alone(tmp_path):
    code = f"""
from anm.report.run_figures import LiveCurve
import anm
anm.train(anm.RunParams(strategy="none", n=4, width=8, train_steps=16, seeds="0", device="cpu", compile="no",
                        checkpoint_dir={str(tmp_path)!r}), watch=LiveCurve());
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook).execute()
    outputs = notebook.cells[0].outputs
    shown_data = [output.data for output in outputs if output.output_type == "display_data"]
    assert len(shown_data) == 1 and "image/png" in shown_data[0]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "\r" not in printed and "step 16/16" in printed


def test_each_point_of_the_curve_is_watched(tmp_path):
    points = []
    solver = anm.train(
        tiny(tmp_path, train_steps=16),
        log=lambda line: None,
        watch=lambda s: points.append(list(s.history["mse_step"])),
    )
    steps = solver.history["mse_step"]
    assert (
        points == [steps[: place + 1] for place in range(len(steps))] and np.isfinite(solver.history["mse_same"]).all()
    )
