"""Every setting of a run, validated before any work is done."""

import hashlib
import json
import os
import re
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from anm.registry import check_choice, file_hash, resolve
from anm.utils.device import can_compile
from anm.utils.parsing import (
    bounded_float,
    bounded_int,
    did_you_mean,
    format_fractions,
    format_levels,
    format_seeds,
    format_shares,
    one_of,
    parse_fractions,
    parse_levels,
    parse_seeds,
    parse_shares,
    parse_switch,
    parsed,
)

# Settings that do not change the trained weights: a run may resume, or be evaluated again, with other values of them.
NOT_IN_RUN_ID = {"checkpoint_dir", "resume", "device", "test_problems", "test_set", "evaluation"}
UNUSED_STEPS = 500  # the value of train_steps where budget_steps replaces it
# Names that other code gives to our settings, used for the hint after an unknown name
ALIASES = dict(rank="n", dim="n", lr="learning_rate", epochs="train_steps", timesteps="noise_levels", gpu="device")


class ParamError(ValueError):
    """An invalid setting. The message gives its name, its value and the allowed values."""


def choice(kind: str):
    """The type of a setting that names a task, a strategy or an energy."""
    return parsed(partial(check_choice, kind))


def parse_mixture(value) -> str:
    """A mixture in canonical form: registered or own strategies, each with its share."""
    shares = parse_shares(value)
    for name in shares:
        check_choice("strategy", name)
        if name in ("none", "mixture"):
            raise ValueError(f"must mix strategies that make negatives of their own, and {name!r} does not")
    return format_shares(shares)


def parse_device(value) -> str:
    """auto, cpu, mps, cuda or cuda:<index>."""
    if isinstance(value, str) and re.fullmatch("auto|cpu|mps|cuda(:(0|[1-9][0-9]?))?", value):
        return value
    raise ValueError("must be auto, cpu, mps, cuda or cuda:<index>")


def parse_compile(value) -> str:
    """auto, or yes or no from any form of a boolean."""
    return "auto" if value == "auto" else "yes" if parse_switch(value) else "no"


def parse_folder(value) -> str:
    """The path of a folder, with ~ and environment variables expanded."""
    if not isinstance(value, (str, Path)) or not str(value).strip() or "\0" in str(value):
        raise ValueError("must be the path of a folder")
    return os.path.expanduser(os.path.expandvars(value))


class RunParams(BaseModel):
    """The settings of one run. The defaults give a first result within minutes.

    Values may be numbers or text: papermill guesses types, and YAML 1.1 reads 1e-4 as text.
    Raises `ParamError` on unknown names and invalid values; the message lists all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    strategy: choice("strategy") = "adversarial"  # source of negatives: registered, or your own "module:function"
    energy: choice("energy") = "mlp"  # network that computes the energy: registered, or your own "module:Class"
    task: choice("task") = "inverse"  # what is to be solved: registered, or your own "module:Class"
    n: bounded_int(1, 512) = 20  # side of the matrices, or number of nodes
    width: bounded_int(1, 65_536) = 512  # of the hidden layers of mlp
    completion_rank: bounded_int(1, 512) = 10  # of the matrices of task completion, before noise
    noise_levels: bounded_int(1, 1000) = 10  # T, the number of noise levels of the diffusion
    train_steps: bounded_int(1, 100_000_000) = 2500  # optimiser steps, unless budget_steps is given
    budget_steps: bounded_int(0, 100_000_000) = 0  # train for the compute of so many steps of `none`; 0: train_steps
    budget_points: parsed(format_fractions) = "1"  # shares of the training at whose compute the run is also scored
    batch_size: bounded_int(1, 1_000_000) = 64  # fresh problems per step and seed
    learning_rate: bounded_float(0, 1, above=True) = 1e-3  # of Adam; the largest one, if it changes
    schedule: one_of("constant", "cosine", "wsd") = "constant"  # of the learning rate; wsd: warm-up, stable, decay
    least_noise: bounded_float(0, 1) = 1.0  # a row's denoising noise is scaled by a number uniform from this to 1
    seeds: parsed(format_seeds) = "0"  # trained together as one stack: "0-9", "0,3,5" or one integer
    mining_opt_steps: bounded_int(0, 1000) = 2  # landscape steps of a strategy that searches the energy
    mining_noise_scale: bounded_float(0, 1000) = 3.0  # noise where that search starts, in multiples of its level's
    contrastive_weight: bounded_float(0, 1000) = 0.5  # of the loss of negatives; the denoising loss has weight 1
    negative_loss: one_of("contrastive", "denoising") = "contrastive"  # of negatives
    negative_share: bounded_float(0, 1, above=True) = 1.0  # of a batch's rows that get a negative
    contrastive_warmup: bounded_int(0, 100_000_000) = 0  # steps over which that weight rises from 0
    contrast_noise: one_of("own", "denoising", "none") = "own"  # of answer and negative in the contrastive loss
    contrast_scale: one_of("none", "gap") = "none"  # gap: divide energies by their level's mean gap, if above 1
    mining_levels: parsed(format_levels) = "all"  # noise levels whose negatives count: "all", "0-4" or one level
    false_negative_residual: bounded_float(0, 1000) = 0.0  # negatives with a smaller residual do not count
    target_hardness: bounded_float(0, 1, above=True) = 0.25  # of calibrated negatives; 0.5: the answer's energy
    candidates: bounded_int(1, 10_000) = 8  # answers from which hardest_of_k chooses
    ball_radius: bounded_float(0, 1000, above=True) = 0.1  # largest RMS distance of a pgd negative from the answer
    langevin_noise: bounded_float(0, 1000) = 1.0  # per step of langevin and replay; 1 samples the level's density
    replay_size: bounded_int(1, 10_000_000) = 10_000  # negatives in the buffer of replay, per seed
    replay_fresh: bounded_float(0, 1) = 0.05  # share of rows that replay and pool start anew
    pool_size: bounded_int(1, 1_000_000) = 100  # problems in the pool of strategy pool, per seed and noise level
    corruption_share: bounded_float(0, 1) = 0.05  # share of an answer's entries that corrupted sets to -1
    mixture: parsed(parse_mixture) = "adversarial:0.5,random:0.5"  # strategies, each with its share of a batch
    landscape_steps: bounded_int(0, 10_000) = 5  # per noise level when solving
    answer_bound: bounded_float(0, 1e6, above=True) = 2.0  # answers and negatives are clipped to +-this
    test_problems: bounded_int(2, 10_000_000) = 200  # frozen problems per difficulty
    evaluation: one_of("full", "scores") = "full"  # scores: only those of the test sets, at every budget point
    test_set: bounded_int(0, 1000) = 0  # number of the frozen test set; each has other problems
    device: parsed(parse_device) = "auto"  # auto (a GPU if there is one), cpu, mps, cuda or cuda:<index>
    precision: one_of("float32", "tf32", "bfloat16") = "float32"  # of matrix products on a CUDA GPU
    compile: parsed(parse_compile) = "auto"  # the energy, and a CUDA graph of a step; auto: on a CUDA GPU
    checkpoint_dir: parsed(parse_folder) = "checkpoints"  # folder of all runs' checkpoints
    resume: parsed(parse_switch, bool) = True  # continue from the newest checkpoint of the same run

    def __init__(self, **settings):
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise ParamError("; ".join(format_error(details) for details in error.errors())) from None
        if self.budget_steps:  # train_steps has no effect: runs that differ in it alone are one run
            self.__dict__["train_steps"] = UNUSED_STEPS
        if self.mining_level_range[1] >= self.noise_levels:
            levels = f"0-{self.noise_levels - 1}"
            raise ParamError(f"mining_levels = {self.mining_levels!r}: must be within the noise levels, {levels}")
        if self.schedule == "cosine" and self.fractions != (1.0,):
            reason = "a cosine schedule decays once; use schedule = 'wsd', or a run for each budget"
            raise ParamError(f"budget_points = {self.budget_points!r}: {reason}")
        self.check_task()

    @classmethod
    def from_namespace(cls, namespace: dict[str, Any]) -> "RunParams":
        """The settings among a notebook's variables, read right after its parameters cell.

        Raises `ParamError` on a number, text or container under any other name, which papermill would ignore.
        Raises it also if this machine cannot run these settings.
        """
        injected = (str, bool, int, float, list, tuple, dict, type(None))  # by papermill; others come from other cells
        ignored = {name for name in namespace if name.startswith("_")} | {"In", "Out"}
        settings = {
            name: value
            for name, value in namespace.items()
            if name in cls.model_fields or (type(value) in injected and name not in ignored)
        }
        params = cls(**settings)
        params.check_machine()
        return params

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The S seeds of the stack, in order."""
        return parse_seeds(self.seeds)

    @property
    def mining_level_range(self) -> tuple[int, int]:
        """The lowest and the highest noise level whose negatives count."""
        return parse_levels(self.mining_levels) or (0, self.noise_levels - 1)

    @property
    def fractions(self) -> tuple[float, ...]:
        """The shares of the training at which the run is scored; the last is 1."""
        return parse_fractions(self.budget_points)

    @property
    def mixture_shares(self) -> dict[str, float]:
        """Strategy -> share of a batch; the shares add up to 1."""
        return parse_shares(self.mixture)

    def task_object(self):
        """The `anm.tasks.base.Task` of this run; one object for equal settings."""
        task = resolve("task", self.task)
        settings = getattr(task, "settings", {}).items()
        return _make_task(task, tuple((name, getattr(self, mine)) for name, mine in settings))

    def check_task(self) -> None:
        """Raises `ParamError` where task, n, energy and filter do not fit together."""
        try:
            task = self.task_object()
            task.check(self.n)
        except ValueError as error:
            reason = str(error) if str(error).startswith("n = ") else f"task = {self.task!r}: {error}"
            raise ParamError(reason) from None
        except Exception as error:  # a user's task may raise anything
            reason = f"must be a subclass of anm.Task that works ({type(error).__name__}: {error})"
            raise ParamError(f"task = {self.task!r}: {reason}") from error
        allowed = getattr(resolve("energy", self.energy), "tasks", None)
        if allowed and self.task not in allowed:
            raise ParamError(
                f"energy = {self.energy!r}: is for task {' or '.join(allowed)}, not {self.task!r}; use mlp"
            )
        if self.false_negative_residual and not task.verifiable:
            value = self.false_negative_residual
            reason = f"nobody can tell whether an answer to {self.task!r} is right without knowing it; must be 0"
            raise ParamError(f"false_negative_residual = {value!r}: {reason}")

    def resolved(self) -> dict[str, Any]:
        """Name -> value of every setting, ready for JSON."""
        return self.model_dump()

    def describe(self) -> str:
        """All settings as text, one per line."""
        return "\n".join(f"{name:20} {value}" for name, value in self.resolved().items())

    def run_id(self) -> str:
        """Twelve hex digits, equal exactly for runs whose trained weights would be equal."""
        settings = {name: value for name, value in self.resolved().items() if name not in NOT_IN_RUN_ID}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]

    def plugin_hashes(self) -> dict[str, str]:
        """Own task, strategies and energy of this run -> SHA-256 of their files."""
        parts = parse_shares(self.mixture) if self.strategy == "mixture" else ()
        names = [name for name in (self.task, self.strategy, self.energy, *parts) if ":" in name]
        return {name: code for name in names if (code := file_hash(name.partition(":")[0]))}

    def torch_device(self) -> torch.device:
        """The device of this run. Raises `ParamError` if this machine does not have it."""
        cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
        name = self.device if self.device != "auto" else "cuda" if cuda else "mps" if mps else "cpu"
        device = torch.device(name)
        counts = {"cpu": 1, "mps": int(mps), "cuda": torch.cuda.device_count() if cuda else 0}
        if (device.index or 0) >= counts[device.type]:
            available = ", ".join(f"{kind} ({count})" for kind, count in counts.items() if count)
            raise ParamError(f"device = {self.device!r}: this machine has {available}; use auto or one of these")
        return device

    def compiles(self, device: torch.device) -> bool:
        """Whether the energy is compiled for this device. Raises `ParamError` if it must be and cannot."""
        if self.compile == "yes" and not can_compile(device):
            needed = "Triton, cc and Python.h" if device.type == "cuda" else "c++"
            raise ParamError(f"compile = 'yes': {device.type} needs a compiler ({needed}); install it, or use auto")
        return self.compile == "yes" or (self.compile == "auto" and device.type == "cuda" and can_compile(device))

    def uses_cuda_graph(self, device: torch.device) -> bool:
        """Whether training steps run as a CUDA graph, one launch per step."""
        return device.type == "cuda" and self.compile != "no"

    def check_machine(self) -> None:
        """Raises `ParamError` if this machine lacks the device, the precision, the compiler or a writable folder."""
        device = self.torch_device()
        if self.precision != "float32" and device.type != "cuda":
            reason = f"needs a CUDA GPU, and this run is on {device.type}; use float32"
            raise ParamError(f"precision = {self.precision!r}: {reason}")
        self.compiles(device)
        check_writable("checkpoint_dir", self.checkpoint_dir)


@cache
def _make_task(task, settings: tuple):
    return task(**dict(settings))


def check_writable(name: str, folder: str) -> None:
    """Raises `ParamError` if no file can be created in the folder or in its first existing parent."""
    try:
        with tempfile.TemporaryFile(dir=existing_parent(Path(folder))):
            pass
    except OSError as error:
        raise ParamError(f"{name} = {folder!r}: must be a folder that can be written to ({error.strerror})") from None


def existing_parent(folder: Path) -> Path:
    """The folder, or its first parent that exists."""
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())


def format_value(value) -> str:
    """The value as Python writes it, cut to 200 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to convert integers of thousands of digits
        text = f"a very long {type(value).__name__}"
    return text if len(text) <= 200 else text[:200] + "..."


def format_error(details: dict) -> str:
    """One line from one of pydantic's error details."""
    name, value = ".".join(map(str, details["loc"])), format_value(details["input"])
    if details["type"] == "extra_forbidden":
        known = RunParams.model_fields
        hint = did_you_mean(ALIASES.get(name.lower(), name), known)
        return f"{name} = {value}: there is no such parameter.{hint} Allowed: {', '.join(known)}"
    reason = details.get("ctx", {}).get("error", details["msg"])
    return f"{name} = {value}: {reason}"
