"""Checkpoints: complete or absent, refused if of another run, and loaded without running code in them."""

import os
import shutil
import time

import numpy as np
import pytest
import torch
from tiny import narrow, same_bits, silent_train, tiny  # noqa: F401

import anm
from anm.params import RunParams
from anm.training import checkpoints
from anm.training.checkpoints import (
    CHECKPOINTS_KEPT,
    CheckpointError,
    latest,
    list_checkpoints,
    read_checkpoint,
    run_folder,
    save,
)
from anm.training.state import TrainingState
from anm.training.step import training_step


def trained(params, steps=2) -> TrainingState:
    """A training state after a few steps."""
    training = TrainingState(params)
    for _ in range(steps):
        training_step(training)
    return training


def latest_and_log(params):
    """The checkpoint that `latest` gives, and the lines that it logs."""
    lines = []
    return latest(params, params.train_steps, lines.append), lines


def test_what_is_saved_is_read(params):
    training = trained(params)
    state = training.checkpoint()
    path = save(params, 2, state)
    content = read_checkpoint(path)
    assert (content["step"], content["params"], content["path"]) == (2, params, path)
    for part in ("model", "average", "optimiser", "streams", "curves"):
        assert same_bits(content[part], state[part])
    assert content["curves"]["history"] == state["curves"]["history"] and content["timing"] == state["timing"]
    assert path.name == "step-000000002.pt" and os.listdir(path.parent) == [path.name]


def test_a_restored_training_takes_the_same_next_step(params):
    training = trained(params)
    path = save(params, 2, training.checkpoint())
    again = TrainingState(params)
    again.restore(read_checkpoint(path))
    assert again.step == 2 and again.timing["resumed"] == 1
    for _ in range(2):
        training_step(training)
        training_step(again)
    ours, theirs = training.checkpoint(), again.checkpoint()
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
        save(params, 4, trained(params).checkpoint())
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_checkpoint_has_its_name_only_once_it_is_complete(params, monkeypatch):
    seen = []
    whole = torch.save
    monkeypatch.setattr(
        torch, "save", lambda content, file: (whole(content, file), seen.append(list_checkpoints(run_folder(params))))
    )
    save(params, 1, trained(params).checkpoint())
    assert seen == [[]] and len(list_checkpoints(run_folder(params))) == 1


def test_older_checkpoints_are_removed(params, run):
    state = trained(params).checkpoint()
    for step in (4, 5):
        save(params, step, state)
    assert [path.name for path in list_checkpoints(run)] == [
        "step-000000005.pt",
        "step-000000004.pt",
    ] and CHECKPOINTS_KEPT == 2


def test_damaged_later_checkpoints_do_not_displace_good_ones(params, run):
    for step in (8, 9, 10):
        (run / f"step-{step:09d}.pt").write_bytes(b"damaged")
    content, lines = latest_and_log(params)
    assert content["step"] == 3 and len(lines) == 3
    save(params, 4, trained(params).checkpoint())
    assert latest_and_log(params)[0]["step"] == 4


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused_and_the_last_good_one_is_used(part, params, run):
    newest = list_checkpoints(run)[0]
    whole = newest.read_bytes()
    newest.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(newest)
    assert str(newest) in str(caught.value) and "cannot be read" in str(caught.value)
    content, lines = latest_and_log(params)
    assert content["step"] == 2 and len(lines) == 1 and lines[0].startswith(f"skipped: {newest}: cannot be read")


def test_a_flipped_bit_is_found_or_does_not_matter(params, run):
    newest = list_checkpoints(run)[0]
    whole, content, random, refused = newest.read_bytes(), read_checkpoint(newest), np.random.default_rng(0), 0
    ends = np.concatenate([np.arange(80), len(whole) - 1 - np.arange(80)])
    for place in np.concatenate([random.integers(0, len(whole), 60), random.choice(ends, 40, replace=False)]):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.integers(8)
        newest.write_bytes(damaged)
        try:
            found = read_checkpoint(newest)
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


@pytest.mark.parametrize(
    "name, value",
    [("learning_rate", 2e-3), ("seeds", "0-2"), ("strategy", "none"), ("n", 5), ("width", 16), ("train_steps", 13)],
)
def test_a_checkpoint_of_another_run_is_refused_by_its_parameter(name, value, params, tmp_path):
    other = RunParams(**params.resolved() | {name: value, "checkpoint_dir": str(tmp_path / "other")})
    theirs = save(other, 5, trained(other).checkpoint())
    folder = run_folder(params)
    folder.mkdir(parents=True)
    shutil.copy(theirs, folder)
    said = rf"checkpoint of another run \({name} = {other.resolved()[name]!r} there, {params.resolved()[name]!r} here\)"
    with pytest.raises(CheckpointError, match=said):
        silent_train(params)
    assert [path.name for path in folder.iterdir()] == [theirs.name]  # nothing was trained or removed
    save(params, 3, trained(params, 3).checkpoint())
    content, lines = latest_and_log(params)
    assert content["step"] == 3 and "another run" in lines[0]
    assert (
        silent_train(params).step == 12 and silent_train(RunParams(**params.resolved() | {"resume": False})).step == 12
    )


def test_steps_beyond_the_run_are_refused(params):
    save(params, 13, trained(params).checkpoint())
    with pytest.raises(CheckpointError, match="step = 13: must be from 0 to 12, the steps of this run"):
        silent_train(params)


def test_the_number_of_test_problems_does_not_change_the_run(params, run):
    moved = RunParams(**params.resolved() | {"test_problems": 7})
    assert latest(moved, 12, print)["step"] == 3 and run_folder(moved) == run


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
            {"width": 16},
            {"task": "square_root"},
            {"task": "addition"},
            {"task": "own_task:RowSums"},
        )
    }
    assert len(folders) == 10
    assert ":" not in run_folder(RunParams(**params.resolved() | {"strategy": "math:sqrt"})).name


def test_content_that_does_not_fit_is_an_error_that_names_the_file(params, tmp_path):
    state = trained(params).checkpoint() | {"model": trained(tiny(tmp_path, n=5)).checkpoint()["model"]}
    path = save(params, 2, state)
    with pytest.raises(CheckpointError, match=f"{path}: its content does not fit this run .*size mismatch"):
        silent_train(params)
    save(params, 2, trained(params).checkpoint() | {"average": {}})
    with pytest.raises(CheckpointError, match="does not fit this run .*Missing key"):
        anm.load(path)


def test_random_streams_of_another_device_are_refused(params):
    save(params, 2, trained(params).checkpoint() | {"device": "cuda"})
    with pytest.raises(
        CheckpointError, match="device = 'cpu': the checkpoint at step 2 was written on cuda.*resume = false"
    ):
        silent_train(params)
    assert silent_train(RunParams(**params.resolved() | {"resume": False})).timing["resumed"] == 0


def test_discard_removes_only_the_run_s_own_checkpoints(params, run, tmp_path):
    other = tiny(tmp_path / "checkpoints", strategy="none")
    kept = save(other, 2, trained(other).checkpoint())
    checkpoints.discard(params)
    assert list(run.iterdir()) == [] and kept.exists() and latest(params, 12, print) is None


def test_old_unfinished_files_are_removed_and_recent_ones_kept(params, run):
    old, new = run / "step-000000004.1.part", run / "step-000000005.2.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * checkpoints.UNFINISHED_SECONDS,) * 2)
    assert latest(params, 12, print)["step"] == 3
    assert not old.exists() and new.exists()


def test_a_run_that_was_compiled_loads_where_there_is_no_compiler(params, monkeypatch):
    path = save(params, 6, TrainingState(params).checkpoint())
    content = torch.load(path, weights_only=True)
    torch.save(content | {"params": content["params"].replace('"compile": "no"', '"compile": "yes"')}, path)
    monkeypatch.setattr("anm.params.can_compile", lambda device: False)
    assert anm.load(path, device="cpu").params.compile == "auto"


def test_a_loaded_solver_is_the_trained_one(params):
    solver = silent_train(params)
    loaded = anm.load(list_checkpoints(run_folder(params))[0], device="cpu")
    A = torch.randn(5, 4, 4)
    assert torch.equal(loaded.solve(A), solver.solve(A)) and loaded.step == 12 and loaded.params == params
    assert str(loaded.history) == str(solver.history)
    assert not any(weight.requires_grad for weight in loaded.model.parameters())


def test_a_loaded_solver_has_the_averaged_weights(params):
    training = trained(params, 6)
    loaded = anm.load(save(params, 6, training.checkpoint()), device="cpu")
    assert same_bits(loaded.model.state_dict(), training.average.state_dict()) and loaded.step == 6
    assert not same_bits(loaded.model.state_dict(), training.model.state_dict())
