"""How fast a training step is, against the matrix products that it cannot do without: `python -m anm.benchmark`.

Every figure is measured in turns (a step, its floor, again a step, ...), so that a machine whose clock drifts or that
is busy slows both alike; fractions and ratios are medians over the turns.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from anm.device import keep_memory, precision, synchronise
from anm.params import CHOICES, ParamError, RunParams, check_writable
from anm.provenance import machine
from anm.replayed import WARM_UP, Replayed
from anm.textbook import TextbookTraining
from anm.trainer import Training

SMALLEST_SIDE = 16  # products with a shorter side than this pick and mix; they are no work that a roof is made of
PRODUCTS = {"bmm": (0, 1), "baddbmm": (1, 2), "mm": (0, 1), "addmm": (1, 2)}  # which arguments are multiplied


class SeenProducts(TorchDispatchMode):
    """While open, notes the operands (shape, stride) of every matrix product, those of backward passes too."""

    def __init__(self):
        super().__init__()
        self.operands: list[tuple] = []

    def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
        places = PRODUCTS.get(function.overloadpacket.__name__)
        if places:
            left, right = (arguments[place] for place in places)
            if min(*left.shape[-2:], right.shape[-1]) >= SMALLEST_SIDE:
                self.operands.append(tuple((tuple(x.shape), x.stride(), x.dtype) for x in (left, right)))
        return function(*arguments, **(kwargs or {}))


class Floor:
    """The matrix products of one step alone: same shapes, strides, precision and order; operands lie ready."""

    def __init__(self, update: Callable[[], None], device: torch.device):
        with SeenProducts() as seen:
            update()
        unique = {
            spec: (torch.empty_strided(*spec[:2], dtype=spec[2], device=device).normal_())
            for pair in seen.operands
            for spec in pair
        }
        self.pairs = [tuple(unique[spec] for spec in pair) for pair in seen.operands]
        self.out = {
            self.shape(pair): torch.empty(self.shape(pair), device=device, dtype=pair[0].dtype) for pair in self.pairs
        }
        self.flop = sum(2 * left.numel() * right.shape[-1] for left, right in self.pairs)

    @staticmethod
    def shape(pair: tuple[Tensor, Tensor]) -> tuple[int, ...]:
        return (*pair[0].shape[:-1], pair[1].shape[-1])

    def __call__(self) -> None:
        for pair in self.pairs:
            torch.matmul(*pair, out=self.out[self.shape(pair)])


def turns(actions: dict[str, Callable[[], None]], device: torch.device, rounds: int) -> dict[str, np.ndarray]:
    """Seconds of each action in each of `rounds` rounds, in turns, after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds + 1):
        for name, action in actions.items():
            synchronise(device)
            started = time.perf_counter()
            action()
            synchronise(device)
            seconds[name].append(time.perf_counter() - started)
    return {name: np.array(values[1:]) for name, values in seconds.items()}


def peak_memory(device: torch.device) -> float:
    """MiB: of the GPU since the last reset, or of this process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure(params: RunParams, rounds: int, textbook: bool) -> dict:
    """One row of the table: a step of this run, its floor and, if asked for, the textbook's step."""
    device = params.torch_device()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with precision(params.precision):
        training = Training(params)
        update = Replayed(training, lambda line: print(f"  {line}")) if params.replays(device) else training.update
        for _ in range(1 + WARM_UP * params.replays(device)):  # allocates what later steps reuse, compiles, records
            update()
        peak = peak_memory(device)
        actions = {"step": update, "floor": Floor(eager_twin(training).update, device)}
        if textbook:
            actions["textbook"] = TextbookTraining(params).update
        seconds = turns(actions, device, rounds)
    rows = len(params.seed_list) * params.batch_size
    step, floor = np.median(seconds["step"]), np.median(seconds["floor"])
    found = {
        "energy": params.energy,
        "strategy": params.strategy,
        "seeds": len(params.seed_list),
        "batch": params.batch_size,
        "n": params.n,
        "step_ms": 1e3 * step,
        "rows_per_s": rows / step,
        "floor_ms": 1e3 * floor,
        "fraction_of_floor": float(np.median(seconds["floor"] / seconds["step"])),
        "gflops": actions["floor"].flop / step / 1e9,
        "floor_gflops": actions["floor"].flop / floor / 1e9,
    }
    if textbook:
        found |= {
            "textbook_ms": 1e3 * np.median(seconds["textbook"]),
            "ratio_to_textbook": float(np.median(seconds["textbook"] / seconds["step"])),
        }
    return found | {"peak_mib": peak}


def eager_twin(training: Training) -> Training:
    """The same training without a compiler, whose products a dispatch mode can see."""
    if not training.compiled:
        return training
    return Training(RunParams(**training.params.resolved() | {"compile": "no"}))


def growth(params: RunParams, rounds: int) -> list[dict]:
    """How a step's cost grows with seeds, batch and n, each apart from `params`."""
    rows = []
    axes = {"seeds": [0, "0-1", "0-4", "0-9"], "batch_size": [64, 256, 1024, 2048], "n": [10, 20, 40]}
    for name, values in axes.items():
        for value in values:
            row = measure(RunParams(**params.resolved() | {name: value}), rounds, textbook=False)
            rows.append({"grows": name} | row)
            print(
                f"  {name} = {value}: {row['step_ms']:.1f} ms, {row['fraction_of_floor']:.0%} of the floor", flush=True
            )
    return rows


def roofline(table: pd.DataFrame, ax=None):
    """Rate of the whole step under its roof, the rate of its products alone, against the rows of a step."""
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(figsize=(7, 4), layout="constrained")[1]
    table = table.assign(rows=table["seeds"] * table["batch"]).sort_values("rows")
    for (energy, strategy), part in table.groupby(["energy", "strategy"]):
        (line,) = ax.plot(part["rows"], part["floor_gflops"], linestyle=":", marker="_")
        ax.plot(
            part["rows"],
            part["gflops"],
            linestyle="none",
            marker="o",
            color=line.get_color(),
            label=f"{energy}, {strategy}",
        )
    ax.set(xscale="log", xlabel="rows in a step (seeds x batch)", ylabel="GFLOP/s of matrix products", ylim=0)
    ax.set_title("Steps (points) under their roof (dotted): the same products alone", fontsize=10, loc="left")
    ax.legend(fontsize=8)
    return ax


def markdown(table: pd.DataFrame) -> str:
    """The table in Markdown."""
    columns = {
        "energy": "energy",
        "strategy": "strategy",
        "seeds": "seeds",
        "batch": "batch",
        "n": "n",
        "step_ms": "ms a step",
        "rows_per_s": "rows/s",
        "floor_ms": "floor, ms",
        "fraction_of_floor": "of the floor",
        "textbook_ms": "textbook, ms",
        "ratio_to_textbook": "times as fast",
        "peak_mib": "peak MiB",
    }
    shown = table[[c for c in columns if c in table]].rename(columns=columns)
    formats = {"of the floor": "{:.0%}", "times as fast": "{:.2f}", "rows/s": "{:,.0f}", "peak MiB": "{:.0f}"}
    cells = [
        [formats.get(name, "{:.1f}" if "ms" in name else "{}").format(value) for name, value in row.items()]
        for row in shown.to_dict("records")
    ]
    lines = [list(shown), ["---"] * len(shown.columns), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m anm.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("--energies", nargs="+", default=["mlp"], help="default: mlp; `all` for every one")
    parser.add_argument("--strategies", nargs="+", default=["none", "random", "adversarial"])
    parser.add_argument("--n", default=20, help="side of the matrices")
    parser.add_argument("--batch", nargs="+", default=[256, 2048], help="problems a step and seed")
    parser.add_argument("--seeds", default="0", help="as in a run: 0 or 0-9")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32", help="float32, tf32, bfloat16")
    parser.add_argument("--compile", default="auto", help="auto, yes, no")
    parser.add_argument("--rounds", type=int, default=7, help="counted steps of each kind")
    parser.add_argument("--no-growth", action="store_true", help="leave out how cost grows with seeds, batch and n")
    parser.add_argument("--output", default="reports/benchmark", help="folder for benchmark.json and roofline.png")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write JSON and picture; exit code 2 on a bad argument."""
    asked = parse_arguments(arguments)
    energies = sorted(CHOICES["energy"]) if asked.energies == ["all"] else asked.energies
    with tempfile.TemporaryDirectory() as unused:
        common = {
            "n": asked.n,
            "seeds": asked.seeds,
            "device": asked.device,
            "precision": asked.precision,
            "compile": asked.compile,
            "checkpoint_dir": unused,
        }
        try:
            runs = [
                RunParams(strategy=strategy, energy=energy, batch_size=batch, **common)
                for energy in energies
                for batch in asked.batch
                for strategy in asked.strategies
            ]
            for run in runs:
                run.check_machine()
            check_writable("output", asked.output)
        except ParamError as error:
            print(f"benchmark: {error}", file=sys.stderr)
            return 2
        about = machine(runs[0].torch_device()) | {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "precision": asked.precision,
            "compile": asked.compile,
        }
        print(json.dumps(about), flush=True)
        keep_memory()
        rows = []
        for run in runs:
            rows.append(measure(run, asked.rounds, textbook=True))
            print(markdown(pd.DataFrame(rows[-1:])).splitlines()[-1], flush=True)
        grown = [] if asked.no_growth else growth(runs[-1], max(3, asked.rounds // 2))
    write(Path(asked.output), about, rows, grown)
    print(f"\n{markdown(pd.DataFrame(rows))}\n\n{asked.output}/benchmark.json, {asked.output}/roofline.png")
    return 0


def write(folder: Path, about: dict, rows: list[dict], grown: list[dict]) -> None:
    """The figures as JSON, and the roofline."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.json").write_text(json.dumps({"machine": about, "steps": rows, "growth": grown}, indent=1))
    roofline(pd.DataFrame(rows + grown)).figure.savefig(folder / "roofline.png", dpi=150)


if __name__ == "__main__":
    sys.exit(main())
