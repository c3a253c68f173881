"""Everything that a GPU must tell, in one call: tests, times, and the runs that are too long for a CPU.

`python -m anm.benchmark.gpu --out FOLDER --minutes N` does its stages in order of worth and stores each at once. On a
machine without a CUDA GPU it does the CPU part of each at a tiny scale. It needs torch, numpy, einops and pydantic; a
stage that needs more is skipped with the reason.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from anm.benchmark import gpu_stages, gpu_training
from anm.benchmark.gpu_scale import ON_CPU, ON_GPU, STUDY_STRATEGIES, Scale
from anm.benchmark.gpu_tables import markdown
from anm.benchmark.staged_run import StagedRun
from anm.params import ParamError, RunParams, check_writable
from anm.records.provenance import machine
from anm.utils.device import keep_memory
from anm.utils.git import git_state
from anm.utils.parsing import did_you_mean

TABLE = "gpu.md"
# Stage -> what it does, and the most of all minutes that it may take
STAGES: dict[str, tuple[Callable, float]] = {
    "tests": (gpu_stages.cuda_tests, 0.25),
    "first step": (gpu_stages.first_step, 0.1),
    "serial parts": (gpu_stages.serial_parts, 0.1),
    "steps": (gpu_stages.steps, 0.35),
    "evaluation": (gpu_stages.evaluation_time, 0.1),
    "pilot": (gpu_training.precision_pilot, 0.2),
    "regimes": (gpu_training.comparison_regimes, 0.5),
    "full": (gpu_training.full_study, 1.0),
}


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m anm.benchmark.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="reports/gpu", help="folder for gpu.json, gpu.md and records/")
    parser.add_argument("--minutes", type=float, default=30.0, help="the most that all stages may take together")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), metavar="STAGE", help=f"of: {', '.join(STAGES)}")
    parser.add_argument("--strategies", nargs="+", default=list(STUDY_STRATEGIES), help="of the study, one at a time")
    what = "one parameter of the full study, where time is too short for all of it: -p seeds 0-1"
    parser.add_argument(
        "-p", dest="settings", nargs=2, metavar=("NAME", "VALUE"), action="append", default=[], help=what
    )
    return parser.parse_args(arguments)


def check_arguments(asked: argparse.Namespace) -> None:
    """Raises `ParamError` on a stage that there is not, on no time, and on a folder that cannot be written to."""
    for name in asked.stages:
        if name not in STAGES:
            raise ParamError(f"--stages {name}: there is no such stage.{did_you_mean(name, STAGES)}")
    if not asked.minutes > 0:
        raise ParamError(f"--minutes {asked.minutes:g}: must be above 0")
    check_writable("--out", asked.out)


def main(arguments: list[str] | None = None, scale: Scale | None = None) -> int:
    """Do the stages; exit code 0 if none failed, 1 otherwise, 2 on bad arguments. `scale`: other sizes, for a test."""
    asked = parse_arguments(arguments)
    on_gpu = torch.cuda.is_available()
    scale = scale or (ON_GPU if on_gpu else ON_CPU)
    scale = replace(scale, strategies=tuple(asked.strategies), full=scale.full | dict(asked.settings))
    try:
        check_arguments(asked)
        RunParams(**scale.common | scale.full)
    except ParamError as error:
        print(f"gpu: {error}", file=sys.stderr)
        return 2
    if not on_gpu:
        print("gpu: this machine has no CUDA GPU; every stage does its CPU part at a tiny scale", flush=True)
    keep_memory()
    commit, dirty = git_state()
    about = machine(torch.device(scale.device)) | {"torch": torch.__version__, "commit": commit, "changed": dirty}
    run = StagedRun(Path(asked.out), asked.minutes, about, partial(print, flush=True))
    for name in asked.stages:
        rows, share = STAGES[name]
        run.do(name, partial(rows, run, scale), share if len(asked.stages) > 1 else 1.0)
        (run.folder / TABLE).write_text(markdown(about, run.stages))
    print(f"\n{markdown(about, run.stages)}\n{run.folder}/gpu.json, {run.folder}/{TABLE}")
    return int(any("failed" in run.stages[name] for name in asked.stages))


if __name__ == "__main__":
    sys.exit(main())
