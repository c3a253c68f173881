"""Checkpoints: saved so that a crash loses nothing, loaded as tensors and plain data, never unpickled."""

import json
import os
import time
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from anm.params import NOT_IDENTITY, ParamError, RunParams

FORMAT, SCHEMA = "anm-checkpoint", 1
KEPT = 2  # the newest, and one more in case the newest turns out damaged
PARTS = ("device", "model", "average", "optimiser", "streams", "miner", "curves", "timing")  # what a run goes on from
STALE_SECONDS = 3600.0  # nobody takes that long to write a file


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and the reason."""


class ForeignCheckpoint(CheckpointError):
    """A whole checkpoint, but not one that this run can go on from."""


def run_folder(params: RunParams) -> Path:
    """Where this run's checkpoints lie; runs that would differ in their weights never share a folder."""
    name = f"{params.strategy}-{params.energy}-{params.identity()}".replace(":", ".")
    return Path(params.checkpoint_dir) / name


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a run's folder, newest first."""
    return sorted(folder.glob("step-*.pt"), reverse=True)


def save(params: RunParams, step: int, state: dict[str, Any]) -> Path:
    """Write the checkpoint of this step: the whole file appears at once or not at all; the oldest ones go."""
    folder = run_folder(params)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:09d}.pt"
    part = path.with_suffix(f".{os.getpid()}.part")
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "params": json.dumps(params.resolved()),
        "own_code": params.own_code(),
        "step": step,
    } | state
    try:
        with open(part, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    # Later ones are not this run's: it would have gone on from them. They are not counted, and left for a person to see.
    for old in [other for other in checkpoints(folder) if other < path][KEPT - 1 :]:
        old.unlink(missing_ok=True)
    return path


def read(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint, tensors on the CPU and `params` as `RunParams`.

    Raises `CheckpointError` on a file that is missing, truncated, damaged, or not a checkpoint of anm.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:  # torch writes a zip file but does not check its sums on reading
            damaged = archive.testzip()
        if damaged:
            raise CheckpointError(f"{path}: damaged ({damaged} does not match its checksum)")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except Exception as error:
        raise CheckpointError(f"{path}: not a whole checkpoint ({type(error).__name__}: {str(error)[:200]})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("schema") != SCHEMA:
        raise CheckpointError(f"{path}: not a checkpoint of anm (schema {SCHEMA})")
    if absent := [name for name in ("params", "step", *PARTS) if name not in content]:
        raise CheckpointError(f"{path}: not a whole checkpoint (without {', '.join(absent)})")
    try:
        content["params"] = RunParams(**json.loads(content["params"]))
    except (ParamError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its parameters cannot be used ({error})") from None
    return content | {"path": path}


def latest(params: RunParams, say=print) -> dict[str, Any] | None:
    """The newest whole checkpoint of this run, or None if there is none yet; others are passed over aloud.

    Raises `ForeignCheckpoint` where all that could be read belong to another run.
    """
    folder, foreign = run_folder(params), None
    clear_unfinished(folder)
    for path in checkpoints(folder):
        try:
            content = read(path)
            check_same_run(path, content, params)
            return content
        except CheckpointError as error:
            say(f"passed over: {error}")
            foreign = foreign or (error if isinstance(error, ForeignCheckpoint) else None)
    if foreign:
        raise foreign
    return None


def check_same_run(path: Path, content: dict[str, Any], params: RunParams) -> None:
    """Raises `ForeignCheckpoint` naming the first parameter, or code of the user's own, in which a checkpoint's run differs."""
    theirs = content["params"].resolved()
    for name, value in params.resolved().items():
        if name not in NOT_IDENTITY and theirs[name] != value:
            raise ForeignCheckpoint(
                f"{path}: checkpoint of another run ({name} = {theirs[name]!r} there, {value!r} here); "
                "move it away, or give another checkpoint_dir"
            )
    ours = params.own_code()
    theirs = content.get("own_code", {})
    for name, code in ours.items():
        if name in theirs and theirs[name] != code:
            raise ForeignCheckpoint(
                f"{path}: {name} has been edited since; resume = false starts anew, undoing the edit goes on"
            )
    if not 0 <= content["step"] <= params.train_steps:
        raise ForeignCheckpoint(
            f"{path}: step = {content['step']}: must be from 0 to train_steps = {params.train_steps}"
        )


@contextmanager
def taking_over(saved: dict[str, Any]):
    """While open, an error means that a checkpoint's content does not fit this code: raises `CheckpointError`."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{saved['path']}: its content does not fit this run ({' '.join(str(error).split())[:300]})"
        ) from error


def clear_unfinished(folder: Path) -> None:
    """Remove what killed processes left half written."""
    for part in folder.glob("*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()


def discard(params: RunParams) -> None:
    """Remove this run's checkpoints: it is to start anew, and would only write the same ones again."""
    for path in checkpoints(run_folder(params)):
        path.unlink(missing_ok=True)
