"""Files that are not checkpoints of anm are refused without running code in them."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import narrow, silent_train, tiny  # noqa: F401

import anm
from anm.training.checkpoints import CheckpointError, latest, list_checkpoints, read_checkpoint, run_folder


class Evil:
    """Unpickling it writes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.write_text, (Path(self.target), "executed")


def foreign_files(target, good: Path):
    """Name -> what writes such a file."""
    content = torch.load(good, weights_only=True)

    def arrays(path):
        with path.open("wb") as file:
            np.savez(file, x=np.ones(3))

    def archive(path):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("archive/data.pkl", pickle.dumps(Evil(target)))
            file.writestr("archive/version", "3\n")

    return {
        "a pickle with code": lambda path: path.write_bytes(pickle.dumps(Evil(target))),
        "a torch file with code": lambda path: torch.save(
            {"format": "anm-checkpoint", "schema": 1, "step": Evil(target)}, path
        ),
        "a checkpoint with code": lambda path: torch.save(content | {"timing": Evil(target)}, path),
        "an old torch file with code": lambda path: torch.save(
            Evil(target), path, _use_new_zipfile_serialization=False
        ),
        "a zip file with code": archive,
        "a whole model": lambda path: torch.save(torch.nn.Linear(1, 1), path),
        "weights alone": lambda path: torch.save({"weight": torch.ones(2)}, path),
        "another list": lambda path: torch.save([1, 2], path),
        "a later schema": lambda path: torch.save(content | {"schema": 2}, path),
        "without weights": lambda path: torch.save({k: v for k, v in content.items() if k != "model"}, path),
        "without a step": lambda path: torch.save({k: v for k, v in content.items() if k != "step"}, path),
        "settings that are no JSON": lambda path: torch.save(content | {"params": "n: 4"}, path),
        "settings that are none": lambda path: torch.save(content | {"params": None}, path),
        "settings of another shape": lambda path: torch.save(content | {"params": "[1]"}, path),
        "an unknown setting": lambda path: torch.save(content | {"params": json.dumps({"rank": 4})}, path),
        "arrays of numpy": arrays,
        "text": lambda path: path.write_text("hello"),
        "nothing": lambda path: path.write_bytes(b""),
        "a folder": lambda path: path.mkdir(),
    }


FOREIGN = [
    "a pickle with code",
    "a torch file with code",
    "a checkpoint with code",
    "an old torch file with code",
    "a zip file with code",
    "a whole model",
    "weights alone",
    "another list",
    "a later schema",
    "without weights",
    "without a step",
    "settings that are no JSON",
    "settings that are none",
    "settings of another shape",
    "an unknown setting",
    "arrays of numpy",
    "text",
    "nothing",
    "a folder",
]


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_refused_unexecuted_and_the_last_good_one_is_used(kind, params, run, tmp_path):
    target, path = tmp_path / "written", run / "step-000000009.pt"
    files = foreign_files(target, list_checkpoints(run)[0])
    assert list(files) == FOREIGN
    files[kind](path)
    for refuse in (read_checkpoint, anm.load):
        with pytest.raises(CheckpointError) as caught:
            refuse(path)
        assert str(caught.value).startswith(f"{path}: ")
    lines = []
    content = latest(params, params.train_steps, lines.append)
    assert content["step"] == 3 and len(lines) == 1 and lines[0].startswith(f"skipped: {path}: ")
    if kind == "a checkpoint with code":
        assert silent_train(params).step == 12
    assert not target.exists()


@pytest.mark.parametrize("task", ["square_root", "addition", "own_task:RowSums"])
def test_a_checkpoint_of_another_task_is_refused(task, params, run, tmp_path):
    other = tiny(tmp_path / "other", task=task)
    assert other.run_id() != params.run_id() and run_folder(other).name != run.name
    silent_train(other)
    theirs = list_checkpoints(run_folder(other))[0]
    for path in list_checkpoints(run):
        path.unlink()
    shutil.copy(theirs, run)
    with pytest.raises(CheckpointError, match=rf"checkpoint of another run \(task = '{task}' there, 'inverse' here\)"):
        silent_train(params)
    assert [path.name for path in run.iterdir()] == [theirs.name]
    loaded = anm.load(theirs, device="cpu")
    problem = torch.ones(3, *other.task_object().shapes(4)[0])
    assert loaded.params.task == task and loaded.solve(problem).shape[2:] == other.task_object().shapes(4)[1]


def test_the_file_with_code_would_have_run_it(tmp_path):
    pickle.loads(pickle.dumps(Evil(tmp_path / "written")))
    assert (tmp_path / "written").read_text() == "executed"


def test_no_such_file(tmp_path):
    with pytest.raises(CheckpointError, match="absent.pt: there is no such file"):
        anm.load(tmp_path / "absent.pt")
