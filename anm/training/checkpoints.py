"""Checkpoints: written atomically, read as tensors and plain data without unpickling code."""

import json
import os
import time
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from anm.params import NOT_IN_RUN_ID, ParamError, RunParams

CHECKPOINT_FORMAT, CHECKPOINT_SCHEMA = "anm-checkpoint", 1
CHECKPOINTS_KEPT = 2  # the newest, and the one before in case the newest is damaged
BEST = "best.pt"  # beside them: the averaged weights with the lowest validation error
STATE_ENTRIES = ("device", "model", "average", "optimiser", "streams", "miner", "curves", "timing")
UNFINISHED_SECONDS = 3600.0  # a `.part` file older than this belongs to a process that was killed


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and the reason."""


class OtherRunCheckpoint(CheckpointError):
    """A complete checkpoint from which this run cannot continue."""


def run_folder(params: RunParams) -> Path:
    """The folder of this run's checkpoints; runs with different weights never share one."""
    name = f"{params.strategy}-{params.energy}-{params.run_id()}".replace(":", ".")
    return Path(params.checkpoint_dir) / name


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a run's folder, newest first."""
    return sorted(folder.glob("step-*.pt"), reverse=True)


def save(params: RunParams, step: int, state: dict[str, Any]) -> Path:
    """Write the checkpoint of this step, remove older ones; returns its path."""
    folder = run_folder(params)
    path = folder / f"step-{step:09d}.pt"
    write_checkpoint(params, step, state, path)
    # Checkpoints of later steps are unusable, or the run would have continued from them: they are kept for inspection.
    for old in [other for other in list_checkpoints(folder) if other < path][CHECKPOINTS_KEPT - 1 :]:
        old.unlink(missing_ok=True)
    return path


def save_best(params: RunParams, step: int, state: dict[str, Any]) -> None:
    """Write the averaged weights of this step to `BEST`: enough for a solver, not to continue from."""
    left_out = {name: {} for name in ("model", "optimiser", "streams", "miner", "annealed")}
    write_checkpoint(params, step, state | left_out, run_folder(params) / BEST)


def write_checkpoint(params: RunParams, step: int, state: dict[str, Any], path: Path) -> None:
    """Write a file that `read_checkpoint` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"format": CHECKPOINT_FORMAT, "schema": CHECKPOINT_SCHEMA, "params": json.dumps(params.resolved())}
    header |= {"own_code": params.plugin_hashes(), "step": step}
    write_atomically(header | state, path)


def write_atomically(content: dict[str, Any], path: Path) -> None:
    """Write a `.part` file, flush it, rename it: a crash never leaves half a checkpoint."""
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint's content: tensors on the CPU, `params` as `RunParams`, its `path`.

    Raises `CheckpointError` if the file is missing, truncated, damaged, or not a checkpoint of anm.
    """
    path = Path(path)
    content = load_tensors(path)
    known = isinstance(content, dict) and content.get("format") == CHECKPOINT_FORMAT
    if not known or content.get("schema") != CHECKPOINT_SCHEMA:
        raise CheckpointError(f"{path}: not a checkpoint of anm (schema {CHECKPOINT_SCHEMA})")
    if absent := [name for name in ("params", "step", *STATE_ENTRIES) if name not in content]:
        raise CheckpointError(f"{path}: incomplete checkpoint (without {', '.join(absent)})")
    try:
        content["params"] = RunParams(**json.loads(content["params"]))
    except (ParamError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its parameters cannot be used ({error})") from None
    return content | {"path": path}


def load_tensors(path: Path) -> Any:
    """The content of a torch file whose checksums hold; `CheckpointError` for any other file."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch writes checksums but does not verify them when it reads
            damaged = archive.testzip()
        if damaged:
            raise CheckpointError(f"{path}: damaged ({damaged} does not match its checksum)")
        return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except Exception as error:  # torch and zipfile raise many types on damaged files
        raise CheckpointError(f"{path}: cannot be read ({type(error).__name__}: {str(error)[:200]})") from None


def latest(params: RunParams, steps: int, log=print) -> dict[str, Any] | None:
    """The newest usable checkpoint of this run of `steps` steps, or None; `log` names those skipped.

    Raises `OtherRunCheckpoint` if there are readable checkpoints and all belong to other runs.
    """
    folder, other_run = run_folder(params), None
    remove_unfinished(folder)
    for path in list_checkpoints(folder):
        try:
            content = read_checkpoint(path)
            check_same_run(path, content, params, steps)
            return content
        except CheckpointError as error:
            log(f"skipped: {error}")
            other_run = other_run or (error if isinstance(error, OtherRunCheckpoint) else None)
    if other_run:
        raise other_run
    return None


def check_same_run(path: Path, content: dict[str, Any], params: RunParams, steps: int) -> None:
    """Raises `OtherRunCheckpoint` naming the first parameter, or user's file, that differs."""
    theirs = content["params"].resolved()
    for name, value in params.resolved().items():
        if name not in NOT_IN_RUN_ID and theirs[name] != value:
            raise OtherRunCheckpoint(
                f"{path}: checkpoint of another run ({name} = {theirs[name]!r} there, {value!r} here); "
                "move it away, or set another checkpoint_dir"
            )
    hashes_there = content.get("own_code", {})
    for name, file_hash in params.plugin_hashes().items():
        if hashes_there.get(name, file_hash) != file_hash:
            raise OtherRunCheckpoint(
                f"{path}: {name} has been edited since; undo the edit to continue, or set resume = false to start again"
            )
    if not 0 <= content["step"] <= steps:
        raise OtherRunCheckpoint(
            f"{path}: step = {content['step']}: must be from 0 to {steps}, the steps of this run; move it away"
        )


@contextmanager
def checkpoint_errors(saved: dict[str, Any]):
    """Turns errors in the block into `CheckpointError`: the content does not fit this code."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{saved['path']}: its content does not fit this run ({' '.join(str(error).split())[:300]})"
        ) from error


def remove_unfinished(folder: Path) -> None:
    """Remove `.part` files of killed processes; recent ones may still be in use."""
    for part in folder.glob("*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > UNFINISHED_SECONDS:
                part.unlink()


def discard(params: RunParams) -> None:
    """Remove this run's checkpoints, so that it starts again."""
    for path in [*list_checkpoints(run_folder(params)), run_folder(params) / BEST]:
        path.unlink(missing_ok=True)
