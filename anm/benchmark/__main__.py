"""Time a training step against its matrix products and a reference step.

`python -m anm.benchmark` times the three in alternation, so that a change of clock speed or other load affects all
of them. Ratios are medians over rounds.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch

from anm.benchmark.measure import measure_scaling, measure_step
from anm.benchmark.tables import markdown_table, write_results
from anm.params import ParamError, RunParams, check_writable
from anm.records.provenance import machine
from anm.registry import CHOICES
from anm.utils.device import keep_memory


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m anm.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("--energies", nargs="+", default=["mlp"], help="default: mlp; `all` for every energy")
    parser.add_argument("--strategies", nargs="+", default=["none", "random", "adversarial"])
    parser.add_argument("--n", default=20, help="side of the matrices")
    parser.add_argument("--batch", nargs="+", default=[256, 2048], help="problems per step and seed")
    parser.add_argument("--seeds", default="0", help="as for a run: 0 or 0-9")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32", help="float32, tf32, bfloat16")
    parser.add_argument("--compile", default="auto", help="auto, yes, no")
    parser.add_argument("--rounds", type=int, default=7, help="timed steps of each kind")
    parser.add_argument("--no-growth", action="store_true", help="skip the scaling with seeds, batch size and n")
    parser.add_argument("--output", default="reports/benchmark", help="folder for benchmark.json and roofline.png")
    return parser.parse_args(arguments)


def runs_to_measure(asked: argparse.Namespace, checkpoint_dir: str) -> list[RunParams]:
    """A run per energy, batch size and strategy. Raises `ParamError`."""
    common = {name: getattr(asked, name) for name in ("n", "seeds", "device", "precision", "compile")}
    energies = sorted(CHOICES["energy"]) if asked.energies == ["all"] else asked.energies
    runs = [
        RunParams(strategy=strategy, energy=energy, batch_size=batch, checkpoint_dir=checkpoint_dir, **common)
        for energy in energies
        for batch in asked.batch
        for strategy in asked.strategies
    ]
    for run in runs:
        run.check_machine()
    check_writable("output", asked.output)
    return runs


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write JSON and figure; exit code 2 on bad arguments."""
    asked = parse_arguments(arguments)
    with tempfile.TemporaryDirectory() as checkpoint_dir:
        try:
            runs = runs_to_measure(asked, checkpoint_dir)
        except ParamError as error:
            print(f"benchmark: {error}", file=sys.stderr)
            return 2
        software = {"torch": torch.__version__, "threads": torch.get_num_threads()}
        settings = {"precision": asked.precision, "compile": asked.compile}
        about = machine(runs[0].torch_device()) | software | settings
        print(json.dumps(about), flush=True)
        keep_memory()
        rows = []
        for run in runs:
            rows.append(measure_step(run, asked.rounds, with_reference=True))
            print(markdown_table(pd.DataFrame(rows[-1:])).splitlines()[-1], flush=True)
        scaling = [] if asked.no_growth else measure_scaling(runs[-1], max(3, asked.rounds // 2))
    write_results(Path(asked.output), about, rows, scaling)
    print(f"\n{markdown_table(pd.DataFrame(rows))}\n\n{asked.output}/benchmark.json, {asked.output}/roofline.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
