"""Every setting of a run, validated before any work is done."""

import difflib
import hashlib
import importlib
import json
import os
import re
import sys
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from anm.device import can_compile

from anm.spelling import (
    parse_levels,
    parse_seeds,
    parse_shares,
    parse_switch,
    real,
    spell_levels,
    spell_seeds,
    spell_shares,
    whole,
)

# The rooms that own a choice enter its names here, so that a name is checked without this room knowing theirs.
CHOICES: dict[str, dict[str, Any]] = {"strategy": {}, "energy": {}}
PRECISIONS = ("float32", "tf32", "bfloat16")
# What leaves the trained weights as they are: a run may be resumed or evaluated again with other values of these.
NOT_IDENTITY = {"checkpoint_dir", "resume", "device", "test_problems"}

# What other code calls some settings, to be answered with the name here.
ELSEWHERE = {
    "rank": "n",
    "dim": "n",
    "lr": "learning_rate",
    "epochs": "train_steps",
    "timesteps": "noise_levels",
    "gpu": "device",
}


class ParamError(ValueError):
    """A setting that cannot be used. The message names the parameter, its value and what is allowed."""


def closest(name: str, names) -> str:
    """The hint ' Did you mean ...?' for a misspelt name, or nothing."""
    near = difflib.get_close_matches(str(name).lower(), [str(n) for n in names], n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def check_choice(kind: str, value) -> str:
    """A registered name of this kind, or "module:function" for one of the user's own; else `ValueError`."""
    if isinstance(value, str) and ":" in value:
        import_choice(value)
    elif not isinstance(value, str) or value not in CHOICES[kind]:
        names = ", ".join(sorted(CHOICES[kind]))
        raise ValueError(f'must be one of {names}, or "module:name" of your own.{closest(value, CHOICES[kind])}')
    return value


def choice(kind: str):
    """A setting that names one of this kind."""
    return Annotated[str, BeforeValidator(partial(check_choice, kind))]


def import_choice(path: str):
    """What "module:name" stands for, something to call; the current folder counts as a place for modules."""
    module, _, name = path.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a module of the user's own may fail in any way
        raise ValueError(f'must be importable as "module:name" ({type(error).__name__}: {error})') from None
    code_of(module)
    if not callable(found):
        raise ValueError(f'must be "module:name" of something to call, not of {type(found).__name__}')
    return found


def chosen(kind: str, name: str):
    """What a checked choice stands for: the registered object, or the imported one."""
    return import_choice(name) if ":" in name else CHOICES[kind][name]


@cache
def code_of(module: str) -> str | None:
    """SHA-256 of an imported module's file, as it was when the module was first asked for; None where it has none."""
    file = getattr(sys.modules[module], "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None


def parse_mixture(value) -> str:
    """The canonical spelling of a mixture: registered strategies or the user's own, each with its share."""
    shares = parse_shares(value)
    for name in shares:
        check_choice("strategy", name)
        if name in ("none", "mixture"):
            raise ValueError(f"must mix strategies that make negatives of their own, and {name!r} does not")
    return spell_shares(shares)


def parse_device(value) -> str:
    if isinstance(value, str) and re.fullmatch("auto|cpu|mps|cuda(:(0|[1-9][0-9]?))?", value):
        return value
    raise ValueError("must be auto, cpu, mps, cuda or cuda:<index>")


def parse_precision(value) -> str:
    if value not in PRECISIONS:
        raise ValueError(f"must be one of {', '.join(PRECISIONS)}.{closest(value, PRECISIONS)}")
    return value


def parse_compile(value) -> str:
    """auto, or a switch as YAML or papermill spell it."""
    return "auto" if value == "auto" else "yes" if parse_switch(value) else "no"


def parse_folder(value) -> str:
    if not isinstance(value, (str, Path)) or not str(value).strip() or "\0" in str(value):
        raise ValueError("must be the path of a folder")
    return os.path.expanduser(os.path.expandvars(value))


class RunParams(BaseModel):
    """The settings of one run; with the defaults, a first look that takes minutes.

    Values may come as numbers or as their spelling (papermill guesses types, YAML 1.1 reads 1e-4 as text).
    Raises `ParamError` on an unknown name or a value that is not allowed, naming all that are wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    strategy: choice("strategy") = "adversarial"  # where negatives come from
    energy: choice("energy") = "mlp"  # the network that is the energy
    n: whole(1, 512) = 20  # side of the matrices
    noise_levels: whole(1, 1000) = 10  # T of the diffusion
    train_steps: whole(1, 100_000_000) = 500  # optimiser steps
    batch_size: whole(1, 1_000_000) = 64  # fresh problems a step and seed
    learning_rate: real(0, 1, above=True) = 1e-3  # Adam's
    seeds: Annotated[str, BeforeValidator(spell_seeds)] = "0-2"  # trained together as one stack
    mining_opt_steps: whole(0, 1000) = 2  # landscape steps that make a negative hard
    mining_noise_scale: real(0, 1000) = 3.0  # noise of the start, in units of the level's noise
    contrastive_weight: real(0, 1000) = 0.5  # weight of the contrastive loss beside the denoising loss
    contrastive_warmup: whole(0, 100_000_000) = 0  # steps over which that weight rises from nothing
    mining_levels: Annotated[str, BeforeValidator(spell_levels)] = (
        "all"  # noise levels whose negatives count, "all" or "0-4"
    )
    false_negative_residual: real(0, 1000) = 0.0  # a negative with a smaller residual is right, and does not count
    candidates: whole(1, 10_000) = 8  # that hardest_of_k chooses from
    ball_radius: real(0, 1000, above=True) = 0.1  # RMS distance that pgd stays within, in the scale of the answers
    langevin_noise: real(0, 1000) = 1.0  # of a step of langevin and replay, in units of the level's own
    replay_size: whole(1, 10_000_000) = 10_000  # negatives that replay keeps
    replay_fresh: real(0, 1) = 0.05  # share of replay's walks that start anew
    mixture: Annotated[str, BeforeValidator(parse_mixture)] = (
        "adversarial:0.5,random:0.5"  # strategies and their shares of a batch
    )
    landscape_steps: whole(0, 10_000) = 5  # per noise level when solving
    answer_bound: real(0, 1e6, above=True) = 2.0  # largest absolute entry an answer may have
    test_problems: whole(2, 10_000_000) = 200  # frozen problems per difficulty
    device: Annotated[str, BeforeValidator(parse_device)] = "auto"  # auto, cpu, mps, cuda, cuda:1
    precision: Annotated[str, BeforeValidator(parse_precision)] = "float32"  # of the network's matrix products
    compile: Annotated[str, BeforeValidator(parse_compile)] = "auto"  # auto: on a GPU, where steps are replayed too
    checkpoint_dir: Annotated[str, BeforeValidator(parse_folder)] = "checkpoints"  # resumed from and written to
    resume: Annotated[bool, BeforeValidator(parse_switch)] = True  # go on from the last checkpoint of this run

    def __init__(self, **settings):
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise ParamError("; ".join(explain(problem) for problem in error.errors())) from None
        if self.mining_level_range[1] >= self.noise_levels:
            raise ParamError(
                f"mining_levels = {self.mining_levels!r}: must be within the noise levels, 0-{self.noise_levels - 1}"
            )

    @classmethod
    def from_namespace(cls, namespace: dict[str, Any]) -> "RunParams":
        """The settings among a notebook's variables, when only its parameters have been set.

        Raises `ParamError` on a plain value under any other name, which papermill would pass over, and when
        the machine cannot run what was asked for.
        """
        settings = {name: value for name, value in namespace.items() if name in cls.model_fields}
        for name, value in namespace.items():
            # Only plain values: what papermill injects, but not what a notebook that runs again has made meanwhile.
            plain = type(value) in (str, bool, int, float, list, tuple, dict, type(None))
            if plain and not name.startswith("_") and name not in ("In", "Out"):
                settings[name] = value
        params = cls(**settings)
        params.check_machine()
        return params

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds of the stack, in order; S of them."""
        return parse_seeds(self.seeds)

    @property
    def mining_level_range(self) -> tuple[int, int]:
        """The lowest and the highest noise level whose negatives count; "all" ends at the top one."""
        return parse_levels(self.mining_levels) or (0, self.noise_levels - 1)

    @property
    def mixture_shares(self) -> dict[str, float]:
        """Strategy -> its share of a batch; they add up to 1."""
        return parse_shares(self.mixture)

    def resolved(self) -> dict[str, Any]:
        """Every setting under its name, ready for JSON."""
        return self.model_dump()

    def describe(self) -> str:
        """Every setting on a line of its own."""
        return "\n".join(f"{name:20} {value}" for name, value in self.resolved().items())

    def identity(self) -> str:
        """Twelve hex digits that agree exactly where the trained weights would."""
        settings = {name: value for name, value in self.resolved().items() if name not in NOT_IDENTITY}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]

    def own_code(self) -> dict[str, str]:
        """The user's own strategies and energy that this run uses, each with the SHA-256 of its file."""
        parts = parse_shares(self.mixture) if self.strategy == "mixture" else ()
        names = [name for name in (self.strategy, self.energy, *parts) if ":" in name]
        return {name: code for name in names if (code := code_of(name.partition(":")[0]))}

    def torch_device(self) -> torch.device:
        """The device to run on; `auto` takes a GPU where there is one. Raises `ParamError` where it is absent."""
        cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
        name = self.device if self.device != "auto" else "cuda" if cuda else "mps" if mps else "cpu"
        device = torch.device(name)
        seen = {"cpu": 1, "mps": int(mps), "cuda": torch.cuda.device_count() if cuda else 0}
        if (device.index or 0) >= seen[device.type]:
            here = ", ".join(f"{kind} ({count})" for kind, count in seen.items() if count)
            raise ParamError(
                f"device = {self.device!r}: not on this machine, which has {here}; use auto or one of these"
            )
        return device

    def compiles(self, device: torch.device) -> bool:
        """Whether this run compiles its energy there. Raises `ParamError` where it is told to and cannot."""
        if self.compile == "yes" and not can_compile(device):
            raise ParamError(
                f"compile = 'yes': needs a compiler (c++ for a CPU; Triton, cc and Python.h for a GPU), and {device.type} has none here; use auto"
            )
        return self.compile == "yes" or (self.compile == "auto" and device.type == "cuda" and can_compile(device))

    def replays(self, device: torch.device) -> bool:
        """Whether this run replays its training steps there as one launch each."""
        return device.type == "cuda" and self.compile != "no"

    def check_machine(self) -> None:
        """Raises `ParamError` where this machine lacks the device, the precision or a folder to write to."""
        device = self.torch_device()
        if self.precision != "float32" and device.type != "cuda":
            raise ParamError(
                f"precision = {self.precision!r}: needs a CUDA GPU, and this run is on {device.type}; use float32"
            )
        self.compiles(device)
        check_writable("checkpoint_dir", self.checkpoint_dir)


def check_writable(name: str, folder: str) -> None:
    """Raises `ParamError` unless a file can be made in the folder or, while it is missing, in the first one above it."""
    try:
        with tempfile.TemporaryFile(dir=nearest(Path(folder))):
            pass
    except OSError as error:
        raise ParamError(f"{name} = {folder!r}: must be a folder that can be written to ({error.strerror})") from None


def nearest(folder: Path) -> Path:
    """The folder, or the first above it that exists."""
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())


def shown(value) -> str:
    """A value as it would be written in Python, cut where that is long."""
    try:
        text = repr(value)
    except ValueError:  # Python does not spell out a whole number of thousands of digits
        text = f"a very long {type(value).__name__}"
    return text if len(text) <= 200 else text[:200] + "..."


def explain(problem: dict) -> str:
    """One line of English from one of pydantic's findings."""
    name, value = ".".join(map(str, problem["loc"])), shown(problem["input"])
    if problem["type"] == "extra_forbidden":
        known = RunParams.model_fields
        hint = closest(ELSEWHERE.get(name.lower(), name), known)
        return f"{name} = {value}: there is no such parameter.{hint} Allowed: {', '.join(known)}"
    reason = problem.get("ctx", {}).get("error", problem["msg"])
    return f"{name} = {value}: {reason}"


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Settings from a YAML file of `name: value` lines. Raises `ParamError` on anything else."""
    import yaml

    try:
        settings = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise ParamError(
            f"{path}: cannot be read ({error.strerror}); give the path of a YAML file of parameters"
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        raise ParamError(f"{path}: is not YAML ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise ParamError(f"{path}: must hold lines of the form `name: value`, not {type(settings).__name__}")
    return settings
