"""Times of a training step, its matrix products alone, and a reference step."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from anm.benchmark.lower_bound import MatmulLowerBound
from anm.benchmark.reference_step import ReferenceTraining
from anm.params import RunParams
from anm.records.provenance import peak_memory_mib
from anm.training.cuda_graph import WARM_UP, CudaGraphStep
from anm.training.state import TrainingState
from anm.training.step import training_step
from anm.utils.device import precision, synchronise

# How a step's cost scales: each setting varies alone
SCALING = {"seeds": [0, "0-1", "0-4", "0-9"], "batch_size": [64, 256, 1024, 2048], "n": [10, 20, 40]}


Action = Callable[[], None]


def time_in_alternation(actions: dict[str, Action], device: torch.device, rounds: int) -> dict[str, np.ndarray]:
    """Seconds of each action, (rounds,). Each round runs every action once; a first one is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds + 1):
        for name, action in actions.items():
            synchronise(device)
            started = time.perf_counter()
            action()
            synchronise(device)
            seconds[name].append(time.perf_counter() - started)
    return {name: np.array(values[1:]) for name, values in seconds.items()}


def measure_step(params: RunParams, rounds: int, with_reference: bool, graph: bool | None = None) -> dict:
    """A benchmark entry: times in ms, rows per second, GFLOP/s, peak memory in MiB.

    The entry calls the matrix products alone `floor` and the reference step `textbook`.
    graph: whether steps are replayed from a CUDA graph; None: as in training. replayed: whether they were.
    """
    device = params.torch_device()
    graph = params.uses_cuda_graph(device) if graph is None else graph
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with precision(params.precision):
        state = TrainingState(params)
        step = CudaGraphStep(state, lambda line: print(f"  {line}")) if graph else partial(training_step, state)
        for _ in range(1 + WARM_UP * graph):  # allocates memory, compiles, captures the CUDA graph
            step()
        peak, replayed = peak_memory_mib(device), getattr(step, "replay", None) is not None
        lower_bound = MatmulLowerBound(partial(training_step, eager_copy(state)), device)
        actions = {"step": step, "floor": lower_bound}
        if with_reference:
            actions["textbook"] = ReferenceTraining(params).step
        seconds = time_in_alternation(actions, device, rounds)
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    entry = {
        "energy": params.energy,
        "strategy": params.strategy,
        "seeds": len(params.seed_list),
        "batch": params.batch_size,
        "n": params.n,
        "step_ms": 1e3 * median["step"],
        "rows_per_s": len(params.seed_list) * params.batch_size / median["step"],
        "floor_ms": 1e3 * median["floor"],
        "fraction_of_floor": float(np.median(seconds["floor"] / seconds["step"])),
        "gflops": lower_bound.flop / median["step"] / 1e9,
        "floor_gflops": lower_bound.flop / median["floor"] / 1e9,
    }
    if with_reference:
        entry["textbook_ms"] = 1e3 * median["textbook"]
        entry["ratio_to_textbook"] = float(np.median(seconds["textbook"] / seconds["step"]))
    return entry | {"peak_mib": peak, "replayed": replayed}


def eager_copy(state: TrainingState) -> TrainingState:
    """The state, uncompiled: a dispatch mode does not see products in compiled code."""
    if not state.compiled:
        return state
    return TrainingState(RunParams(**state.params.resolved() | {"compile": "no"}))


def measure_scaling(params: RunParams, rounds: int) -> list[dict]:
    """An entry per value in SCALING; `grows` names the setting that differs from `params`."""
    entries = []
    for name, values in SCALING.items():
        for value in values:
            entry = measure_step(RunParams(**params.resolved() | {name: value}), rounds, with_reference=False)
            entries.append({"grows": name} | entry)
            share = f"{entry['fraction_of_floor']:.0%} of it matrix products"
            print(f"  {name} = {value}: {entry['step_ms']:.1f} ms, {share}", flush=True)
    return entries
