"""Checkpoints: whole or not there, refused when they are not ours, and never a way to run somebody's code."""

import json
import os
import pickle
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import narrow, same_bits, silent_train, tiny  # noqa: F401

import anm
from anm import checkpoint
from anm.checkpoint import KEPT, CheckpointError, checkpoints, latest, read, run_folder, save
from anm.params import RunParams
from anm.trainer import Training


def trained(params, steps=2) -> Training:
    """A training after a few steps."""
    training = Training(params)
    for _ in range(steps):
        training.update()
    return training


@pytest.fixture
def params(tmp_path):
    return tiny(tmp_path / "checkpoints")


@pytest.fixture
def run(params):
    """A run's folder with good checkpoints of steps 2 and 3."""
    training = trained(params)
    save(params, 2, training.state())
    training.update()
    save(params, 3, training.state())
    return run_folder(params)


def said_by(params):
    """What `latest` gives, and what it says."""
    lines = []
    return latest(params, lines.append), lines


def test_what_is_saved_is_read(params):
    training = trained(params)
    state = training.state()
    path = save(params, 2, state)
    content = read(path)
    assert (content["step"], content["params"], content["path"]) == (2, params, path)
    for part in ("model", "average", "optimiser", "streams", "curves"):
        assert same_bits(content[part], state[part])
    assert content["curves"]["history"] == state["curves"]["history"] and content["timing"] == state["timing"]
    assert path.name == "step-000000002.pt" and os.listdir(path.parent) == [path.name]


def test_a_restored_training_takes_the_same_next_step(params):
    training = trained(params)
    path = save(params, 2, training.state())
    again = Training(params)
    again.restore(read(path))
    assert again.step == 2 and again.timing["resumed"] == 1
    for _ in range(2):
        training.update()
        again.update()
    ours, theirs = training.state(), again.state()
    assert all(same_bits(ours[part], theirs[part]) for part in ("model", "average", "optimiser", "streams", "curves"))


@pytest.mark.parametrize("fail", ["torch.save", "os.replace"])
def test_a_save_that_fails_leaves_everything_as_it_was(fail, params, run, monkeypatch):
    before = {path.name: path.read_bytes() for path in run.iterdir()}

    def half_written(content, file):
        file.write(b"PK half of it")
        raise OSError(28, "No space left on device")

    def refused(source, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(torch, "save", half_written) if fail == "torch.save" else monkeypatch.setattr(
        os, "replace", refused
    )
    with pytest.raises(OSError):
        save(params, 4, trained(params).state())
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_checkpoint_appears_under_its_name_only_when_it_is_whole(params, monkeypatch):
    seen = []
    whole = torch.save
    monkeypatch.setattr(
        torch, "save", lambda content, file: (whole(content, file), seen.append(checkpoints(run_folder(params))))
    )
    save(params, 1, trained(params).state())
    assert seen == [[]] and len(checkpoints(run_folder(params))) == 1


def test_the_oldest_ones_go(params, run):
    state = trained(params).state()
    for step in (4, 5):
        save(params, step, state)
    assert [path.name for path in checkpoints(run)] == ["step-000000005.pt", "step-000000004.pt"] and KEPT == 2


def test_damaged_later_ones_do_not_crowd_out_the_run_s_own(params, run):
    for step in (8, 9, 10):
        (run / f"step-{step:09d}.pt").write_bytes(b"damaged")
    content, said = said_by(params)
    assert content["step"] == 3 and len(said) == 3
    save(params, 4, trained(params).state())
    assert said_by(params)[0]["step"] == 4


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused_and_the_last_good_one_is_used(part, params, run):
    newest = checkpoints(run)[0]
    whole = newest.read_bytes()
    newest.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(CheckpointError) as caught:
        read(newest)
    assert str(newest) in str(caught.value) and "not a whole checkpoint" in str(caught.value)
    content, said = said_by(params)
    assert (
        content["step"] == 2 and len(said) == 1 and said[0].startswith(f"passed over: {newest}: not a whole checkpoint")
    )


def test_a_flipped_bit_is_found_or_does_not_matter(params, run):
    newest = checkpoints(run)[0]
    whole, content, random, refused = newest.read_bytes(), read(newest), np.random.default_rng(0), 0
    ends = np.concatenate([np.arange(80), len(whole) - 1 - np.arange(80)])
    for place in np.concatenate([random.integers(0, len(whole), 60), random.choice(ends, 40, replace=False)]):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.integers(8)
        newest.write_bytes(damaged)
        try:
            found = read(newest)
        except CheckpointError as error:
            refused += 1
            assert str(newest) in str(error)
        else:
            assert same_bits(found, content) and (found["step"], found["params"], found["curves"]["history"]) == (
                3,
                params,
                content["curves"]["history"],
            )
    assert refused > 50


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
    files = foreign_files(target, checkpoints(run)[0])
    assert list(files) == FOREIGN
    files[kind](path)
    for refuse in (read, anm.load):
        with pytest.raises(CheckpointError) as caught:
            refuse(path)
        assert str(caught.value).startswith(f"{path}: ")
    content, said = said_by(params)
    assert content["step"] == 3 and len(said) == 1 and said[0].startswith(f"passed over: {path}: ")
    if kind == "a checkpoint with code":
        assert silent_train(params).step == 12
    assert not target.exists()


def test_the_file_with_code_would_have_run_it(tmp_path):
    pickle.loads(pickle.dumps(Evil(tmp_path / "written")))
    assert (tmp_path / "written").read_text() == "executed"


def test_no_such_file(tmp_path):
    with pytest.raises(CheckpointError, match="absent.pt: there is no such file"):
        anm.load(tmp_path / "absent.pt")


@pytest.mark.parametrize(
    "name, value", [("learning_rate", 2e-3), ("seeds", "0-2"), ("strategy", "none"), ("n", 5), ("train_steps", 13)]
)
def test_a_checkpoint_of_another_run_is_refused_by_its_parameter(name, value, params, tmp_path):
    other = RunParams(**params.resolved() | {name: value, "checkpoint_dir": str(tmp_path / "other")})
    theirs = save(other, 5, trained(other).state())
    folder = run_folder(params)
    folder.mkdir(parents=True)
    shutil.copy(theirs, folder)
    said = rf"checkpoint of another run \({name} = {other.resolved()[name]!r} there, {params.resolved()[name]!r} here\)"
    with pytest.raises(CheckpointError, match=said):
        silent_train(params)
    assert [path.name for path in folder.iterdir()] == [theirs.name]  # nothing was trained or removed
    save(params, 3, trained(params, 3).state())
    content, lines = said_by(params)
    assert content["step"] == 3 and "another run" in lines[0]
    assert (
        silent_train(params).step == 12 and silent_train(RunParams(**params.resolved() | {"resume": False})).step == 12
    )


def test_steps_beyond_the_run_are_refused(params):
    save(params, 13, trained(params).state())
    with pytest.raises(CheckpointError, match="step = 13: must be from 0 to train_steps = 12"):
        silent_train(params)


def test_where_and_how_often_it_is_evaluated_makes_no_other_run(params, run):
    moved = RunParams(**params.resolved() | {"test_problems": 7})
    assert latest(moved, print)["step"] == 3 and run_folder(moved) == run


def test_runs_that_differ_never_share_a_folder(params):
    folders = {
        run_folder(RunParams(**params.resolved() | change))
        for change in (
            {},
            {"strategy": "none"},
            {"seeds": "0"},
            {"learning_rate": 2e-3},
            {"train_steps": 13},
            {"mining_opt_steps": 3},
        )
    }
    assert len(folders) == 6
    assert ":" not in run_folder(RunParams(**params.resolved() | {"strategy": "math:sqrt"})).name


def test_content_that_does_not_fit_is_an_error_that_names_the_file(params, tmp_path):
    state = trained(params).state() | {"model": trained(tiny(tmp_path, n=5)).state()["model"]}
    path = save(params, 2, state)
    with pytest.raises(CheckpointError, match=f"{path}: its content does not fit this run .*size mismatch"):
        silent_train(params)
    save(params, 2, trained(params).state() | {"average": {}})
    with pytest.raises(CheckpointError, match="does not fit this run .*Missing key"):
        anm.load(path)


def test_random_streams_of_another_device_cannot_go_on(params):
    save(params, 2, trained(params).state() | {"device": "cuda"})
    with pytest.raises(
        CheckpointError, match="device = 'cpu': the checkpoint at step 2 was written on cuda.*resume = false"
    ):
        silent_train(params)
    assert silent_train(RunParams(**params.resolved() | {"resume": False})).timing["resumed"] == 0


def test_a_run_that_starts_anew_removes_its_own_checkpoints_alone(params, run, tmp_path):
    other = tiny(tmp_path / "checkpoints", strategy="none")
    kept = save(other, 2, trained(other).state())
    checkpoint.discard(params)
    assert list(run.iterdir()) == [] and kept.exists() and latest(params, print) is None


def test_what_killed_processes_left_is_cleared_once_nobody_can_be_writing_it(params, run):
    old, new = run / "step-000000004.1.part", run / "step-000000005.2.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * checkpoint.STALE_SECONDS,) * 2)
    assert latest(params, print)["step"] == 3
    assert not old.exists() and new.exists()


def test_a_run_that_was_compiled_loads_where_there_is_no_compiler(params, monkeypatch):
    path = save(params, 6, Training(params).state())
    content = torch.load(path, weights_only=True)
    torch.save(content | {"params": content["params"].replace('"compile": "no"', '"compile": "yes"')}, path)
    monkeypatch.setattr("anm.params.can_compile", lambda device: False)
    assert anm.load(path, device="cpu").params.compile == "auto"


def test_a_loaded_solver_is_the_trained_one(params):
    solver = silent_train(params)
    loaded = anm.load(checkpoints(run_folder(params))[0], device="cpu")
    A = torch.randn(5, 4, 4)
    assert torch.equal(loaded.solve(A), solver.solve(A)) and loaded.step == 12 and loaded.params == params
    assert str(loaded.history) == str(solver.history)
    assert not any(weight.requires_grad for weight in loaded.model.parameters())


def test_a_loaded_solver_has_the_averaged_weights(params):
    training = trained(params, 6)
    loaded = anm.load(save(params, 6, training.state()), device="cpu")
    assert same_bits(loaded.model.state_dict(), training.average.state_dict()) and loaded.step == 6
    assert not same_bits(loaded.model.state_dict(), training.model.state_dict())
