"""The stages that measure: tests, the first step, serial parts of a step, steps, evaluation."""

import importlib.util
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import numpy as np
import torch

from anm.benchmark.gpu_scale import Scale
from anm.benchmark.measure import measure_step, time_in_alternation
from anm.benchmark.meta_step import count_step
from anm.benchmark.staged_run import SkippedStage, StagedRun
from anm.evaluation.scores import evaluate
from anm.params import ParamError, RunParams
from anm.records.schema import plain
from anm.registry import CHOICES
from anm.tasks.inverse import problem_from, spd_inverse, swept
from anm.training.state import TrainingState
from anm.training.step import draw_batch, training_step
from anm.utils.device import precision
from anm.utils.locations import PROJECT
from anm.utils.random_streams import RandomStreams

# In the file of every test that needs a GPU; a test that needs a machine without one has neither
NEEDS_CUDA = re.compile(r"(not|\*) torch\.cuda\.is_available\(\)")
TEST_WORKERS = "8"  # that share the GPU; the tests' runs are small
FIRST_STEP = """
import json, sys
from anm.params import RunParams
from anm.training.state import TrainingState
from anm.training.step import training_step
from anm.utils.device import precision, synchronise
params = RunParams(**json.loads(sys.argv[1]))
with precision(params.precision):
    training_step(TrainingState(params))
synchronise(params.torch_device())
"""


def cuda_tests(run: StagedRun, scale: Scale) -> Iterator[dict]:
    """The tests that need CUDA, as counts. Raises `RuntimeError` if one fails."""
    folder = PROJECT / "tests"
    if not folder.is_dir():
        raise SkippedStage("the tests are in the clone of the project; start the command there")
    if importlib.util.find_spec("pytest") is None:
        raise SkippedStage("pytest is not installed")
    files = scale.test_files or [str(p) for p in sorted(folder.rglob("test_*.py")) if NEEDS_CUDA.search(p.read_text())]
    # Warnings of other versions than the tested ones are no failures
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-o", "filterwarnings=default"]
    command += ["-o", "addopts=--import-mode=importlib", *files]
    command += ["-n", TEST_WORKERS] if importlib.util.find_spec("xdist") else []
    complete = True
    try:
        output = subprocess.run(command, cwd=PROJECT, capture_output=True, timeout=max(1.0, run.left())).stdout
    except subprocess.TimeoutExpired as error:
        output, complete = error.stdout or b"", False
    text = output.decode(errors="replace")
    counts = {f"tests_{word.lower()}": len(re.findall(rf" {word}\b", text)) for word in ("PASSED", "FAILED", "SKIPPED")}
    failures = sorted(set(re.findall(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)))
    yield counts | {"complete": complete, "failures": failures}
    if failures or not counts["tests_passed"] + counts["tests_skipped"]:
        raise RuntimeError(f"{failures[0] if failures else 'no test ran'}: run {' '.join(command[2:])} to see why")


def first_step(run: StagedRun, scale: Scale) -> Iterator[dict]:
    """Seconds from the start of a process to the end of its first step; nothing was compiled before."""
    settings = scale.common | scale.step | {"strategy": "none", "seeds": scale.stacks[0], "precision": scale.usual[1]}
    with tempfile.TemporaryDirectory() as cache:
        caches = {"TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor", "TRITON_CACHE_DIR": f"{cache}/triton"}
        command, started = [sys.executable, "-c", FIRST_STEP, json.dumps(settings)], time.perf_counter()
        how = {"env": os.environ | caches, "cwd": PROJECT, "capture_output": True, "text": True}
        try:
            done = subprocess.run(command, timeout=max(1.0, run.left()), **how)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"no step in {error.timeout:.0f} s; give it more with --minutes") from None
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    yield {"seconds": time.perf_counter() - started}


def serial_parts(run: StagedRun, scale: Scale) -> Iterator[dict]:
    """ms of parts of a step that are many short operations, as a CUDA graph replays them, and of alternatives."""
    params = RunParams(**scale.common | scale.step | {"strategy": "none", "seeds": scale.stacks[0]})
    device, state = params.torch_device(), TrainingState(params)
    shape, streams = (params.batch_size, params.n, params.n), state.streams
    A = problem_from(streams.uniform("problems", *shape), 0.5)
    replayed_parts = {
        "draw of a batch": lambda: draw_batch(state),
        "random numbers": lambda: (streams.uniform("problems", *shape), streams.normal("noise", *shape)),
        "inverse": lambda: spd_inverse(A),
        "inverse by sweep, one launch an operation": lambda: swept(A),
    }
    launched = {
        "inverse by torch.linalg.inv_ex": lambda: torch.linalg.inv_ex(A)[0],
        "inverse by Cholesky factors": lambda: torch.cholesky_inverse(torch.linalg.cholesky_ex(A)[0]),
    }
    for name, part in (replayed_parts | launched).items():
        try:
            action = replayed(part, device, streams) if name in replayed_parts else part
            with torch.no_grad():
                seconds = time_in_alternation({name: action}, device, scale.rounds)[name]
            yield {"part": name, "ms": 1e3 * float(np.median(seconds))}
        except RuntimeError as error:
            yield {"part": name, "skipped": plain(str(error))}


@torch.no_grad()
def replayed(action: Callable, device: torch.device, streams: RandomStreams) -> Callable:
    """The action as a CUDA graph that draws from these streams, or itself on another device."""
    if device.type != "cuda":
        return action
    side, graph = torch.cuda.Stream(device), torch.cuda.CUDAGraph()
    with torch.cuda.stream(side):
        action()
    for generator in itertools.chain(*streams.generators.values()):
        if generator.device.type == "cuda":
            graph.register_generator_state(generator)
    with torch.cuda.graph(graph, stream=side):
        action()
    return graph.replay


def steps(run: StagedRun, scale: Scale) -> Iterator[dict]:
    """A step of every strategy against its matrix products, in order of worth; a reason to skip some is given once."""
    reasons: set[str] = set()
    for strategy, mode, setting, seeds in combinations(scale):
        settings = {"strategy": strategy, "precision": setting, "seeds": seeds}
        settings |= {"compile": "no"} if mode == "eager" else {}
        try:
            params = RunParams(**scale.common | scale.step | settings)
            params.check_machine()
            if mode != "eager" and params.torch_device().type != "cuda":
                raise ParamError(f"mode = {mode!r}: is measured on a CUDA GPU only")
        except ParamError as error:
            if str(error) not in reasons:
                yield {"mode": mode, "precision": setting, "skipped": str(error)}
            reasons.add(str(error))
            continue
        started = time.perf_counter()
        row = {"mode": mode, "precision": setting}
        try:
            with autotuning() if mode == "autotuned" else nullcontext():
                row |= measure_step(params, scale.rounds, False, graph=mode in ("graph", "autotuned"))
        except RuntimeError as error:  # out of memory, or a compiler that fails: the others are worth having
            yield row | {"strategy": strategy, "skipped": plain(str(error))}
            continue
        counted = count_step(params) if mode == "eager" else {}
        yield row | counted | {"with_set_up_s": time.perf_counter() - started}


def autotuning():
    """A context in which torch.compile tries many kernels for each product, some with the elementwise work fused in."""
    import torch._inductor.config  # only where it is used: it takes seconds

    return torch._inductor.config.patch(max_autotune=True)


def combinations(scale: Scale) -> list[tuple[str, str, str, str]]:
    """Strategy, mode, precision, seeds: first the study's as it trains, then the other strategies; autotuned last."""
    places = itertools.product(*(range(len(part)) for part in (scale.modes, scale.precisions, scale.stacks)))
    study = [
        (strategy, scale.modes[mode], scale.precisions[setting], scale.stacks[stack])
        for mode, setting, stack in sorted(places, key=sum)
        for strategy in scale.strategies
    ]
    others = [
        (name, *scale.usual, scale.stacks[0]) for name in sorted(set(CHOICES["strategy"]) - set(scale.strategies))
    ]
    return sorted(study + others, key=lambda each: each[1] == "autotuned")


def evaluation_time(run: StagedRun, scale: Scale) -> Iterator[dict]:
    """Seconds of an evaluation, first with and then without the drawing of the frozen problems."""
    params = RunParams(**scale.common | scale.step | {"strategy": "none", "seeds": scale.stacks[0]})
    with precision(params.precision):
        state = TrainingState(params)
        training_step(state)
    for problems in ("drawn", "kept from the first time"):
        found = evaluate(state.solver())
        yield {"problems": problems, "test_problems": params.test_problems, "seconds": found.seconds}
