"""The training notebook, run with the papermill command from another folder than the project's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import anm

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "train.ipynb"
TINY = {
    "n": 4,
    "train_steps": 4,
    "batch_size": 8,
    "seeds": 3,
    "test_problems": 8,
    "noise_levels": 3,
    "landscape_steps": 1,
    "device": "cpu",
}


def papermill(folder: Path, **settings) -> tuple[subprocess.CompletedProcess, Path]:
    """`papermill notebooks/train.ipynb out.ipynb -p ...` as a user types it in `folder`, at a tiny scale."""
    command = [sys.executable, "-m", "papermill", str(NOTEBOOK), "out.ipynb", "--no-progress-bar"]
    for name, value in (TINY | settings).items():
        command += ["-p", name, str(value)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done, folder / "out.ipynb"


def test_a_run_from_another_folder_has_its_figures_its_log_and_a_record(tmp_path):
    done, out = papermill(tmp_path, strategy="adversarial", learning_rate="1e-3")
    assert done.returncode == 0, done.stderr[-2000:]
    record = anm.read_run(out)
    assert record["params"]["strategy"] == "adversarial" and record["params"]["learning_rate"] == 1e-3
    assert record["params"]["seeds"] == "3" and len(record["results"]["same"]["mse"]) == 1
    assert record["curves"]["step"] == [1, 2, 3, 4]
    assert (tmp_path / "checkpoints").is_dir()
    cells = [cell for cell in json.loads(out.read_text())["cells"] if cell["cell_type"] == "code"]
    kinds = [{kind for output in cell["outputs"] for kind in output.get("data", {})} for cell in cells]
    assert sum("image/png" in kind for kind in kinds) == 5  # problem, negatives twice, learning, answers
    (train,) = [cell for cell in cells if "anm.train(" in "".join(cell["source"])]
    training = "".join("".join(output.get("text", "")) for output in train["outputs"])
    for said in ("strategy adversarial", "step 4/4", "denoise", "contrast", "E+", "E-", "accepted", "distance"):
        assert said in training


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"stategy": "random"}, "stategy = 'random': there is no such parameter. Did you mean 'strategy'?"),
        ({"strategy": "adverserial", "n": "ten"}, "n = 'ten': must be a whole number"),
    ],
    ids=["unknown name", "two bad values"],
)
def test_a_bad_parameter_stops_the_run_before_training(tmp_path, settings, said):
    done, out = papermill(tmp_path, **settings)
    assert done.returncode != 0
    assert said in done.stderr
    assert not (tmp_path / "checkpoints").exists()
    assert "anm.train" in out.read_text()
    executed = [cell["execution_count"] for cell in json.loads(out.read_text())["cells"] if cell["cell_type"] == "code"]
    assert sum(count is not None for count in executed) == 3  # parameters, what papermill injects, the check


def test_a_loss_that_is_not_finite_stops_the_run_and_collect_runs_rejects_it(tmp_path):
    (tmp_path / "bad_negatives.py").write_text("def burst(context):\n    return context.x0 * float('nan')\n")
    done, out = papermill(tmp_path, strategy="bad_negatives:burst")
    assert done.returncode != 0
    assert "step 1: contrast of seed 3 is not finite (strategy bad_negatives:burst" in done.stderr
    scores, refused = anm.collect_runs(tmp_path)
    assert scores.empty and "failed: TrainingError" in refused[0].reason
    with pytest.raises(anm.RecordError, match="contrast of seed 3 is not finite"):
        anm.read_run(out)
