"""Sweeps: a YAML file gives values for some settings, and each combination of them is a run.

    strategies: [adversarial]
    grid:
      mining_opt_steps: [0, 1, 2, 5, 10]
      mining_noise_scale: [0.5, 1, 2, 3, 5]
    settings: {n: 10, train_steps: 500, seeds: 0-2}       # the same in all runs; the other settings have their defaults

Each combination also has a run of `none`, the baseline. Combinations that differ only in settings that `none` does
not use share one.
"""

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anm.params import NOT_IN_RUN_ID, ParamError, RunParams
from anm.registry import unused_settings
from anm.study.plan import BASELINE, Run, load_yaml
from anm.utils.parsing import did_you_mean

SWEEP_FILE = "grid.yaml"  # the copy of the sweep's file beside its results, where the report reads it
PARTS = ("strategies", "grid", "settings")
MAX_RUNS = 10_000  # more are taken for a mistake in the file


@dataclass(frozen=True)
class SweepDefinition:
    """The strategies of a sweep, the values on its axes, and the settings that all runs share."""

    name: str
    strategies: tuple[str, ...]
    axes: dict[str, tuple]
    settings: dict[str, Any]

    def params(self, strategy: str, values: dict[str, Any]) -> RunParams:
        """The parameters of one run. Raises `ParamError`."""
        return RunParams(**self.settings | self.used(strategy, values) | {"strategy": strategy})

    def used(self, strategy: str, values: dict[str, Any]) -> dict[str, Any]:
        """The values on the axes that the strategy uses."""
        return {axis: value for axis, value in values.items() if axis not in unused_settings(strategy)}

    def cells(self) -> list[tuple[str, dict[str, Any]]]:
        """(strategy, axis -> value) of every cell: strategy by strategy, the last axis fastest."""
        values = [dict(zip(self.axes, choice)) for choice in itertools.product(*self.axes.values())]
        return [(strategy, cell) for strategy in self.strategies for cell in values]

    def standard(self) -> dict[str, Any]:
        """The cell that represents its strategy beside others: each axis at its default, or at its first value."""
        usual = RunParams().resolved()
        return {axis: usual[axis] if usual[axis] in values else values[0] for axis, values in self.axes.items()}


def read_sweep_file(path: str | Path) -> SweepDefinition:
    """The sweep that a YAML file defines; its name is the file's. Raises `ParamError` on anything that cannot run."""
    path = Path(path)
    parts = load_yaml(path)
    for part in parts:
        if part not in PARTS:
            hint = f"{did_you_mean(part, PARTS)} Allowed: {', '.join(PARTS)}"
            raise ParamError(f"{path}: {part}: there is no such part of a sweep.{hint}")
    axes, settings = parts.get("grid"), parts.get("settings") or {}
    strategies = parts.get("strategies", ["adversarial"])
    check_parts(path, axes, settings, strategies)
    settings = {"checkpoint_dir": f"checkpoints/{path.stem}"} | settings
    return SweepDefinition(
        path.stem,
        tuple(strategy for strategy in dict.fromkeys(strategies) if strategy != BASELINE),
        {axis: canonical(axis, values, settings) for axis, values in axes.items()},
        settings,
    )


def check_parts(path: Path, axes, settings, strategies) -> None:
    """Raises `ParamError` unless the three parts of a sweep's file have their form and fit each other."""
    lists = isinstance(axes, dict) and all(isinstance(values, list) and values for values in axes.values())
    if not lists or not axes or not all(isinstance(name, str) for name in axes):
        raise ParamError(f"{path}: grid: must hold lines of the form `setting: [value, ...]`, with a value each")
    listed = isinstance(strategies, list) and strategies and all(isinstance(name, str) for name in strategies)
    if not listed or not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise ParamError(f"{path}: strategies must be a list of names, and settings lines of the form `name: value`")
    if "strategy" in settings:
        raise ParamError(f"{path}: settings: strategy = {settings['strategy']!r}: goes into the list of strategies")
    for axis in axes:
        if axis in settings:
            raise ParamError(f"{path}: grid: {axis} cannot be an axis, because it is a setting too; remove one")
        if axis in NOT_IN_RUN_ID | {"strategy", "seeds"}:
            raise ParamError(f"{path}: grid: {axis} cannot be an axis, because it does not change how a run trains")
    if set(strategies) == {BASELINE}:
        why = "which every sweep runs as the baseline"
        raise ParamError(f"{path}: strategies: must name one besides {BASELINE}, {why}")


def canonical(axis: str, values: list, settings: dict) -> tuple:
    """The values of an axis in the spelling of a record, without duplicates. Raises `ParamError`."""
    if axis == "mining_levels":  # each run checks them against its own noise levels, which may be an axis too
        settings = settings | {"noise_levels": 1000}
    return tuple(dict.fromkeys(getattr(RunParams(**settings | {axis: value}), axis) for value in values))


def sweep_runs(sweep: SweepDefinition, reports: Path, seeds: str | None = None) -> list[Run]:
    """Every run of a sweep, the baselines first. `seeds` other than the sweep's own make further notebooks.

    Raises `ParamError` on too many runs, and on a name that a folder cannot have.
    """
    if not re.fullmatch(r"\w[\w.-]*", sweep.name):
        allowed = "letters, digits, dots and dashes"
        raise ParamError(f"{sweep.name}: a sweep is called by its file's name, which must be of {allowed}")
    cells = sweep.cells()
    if len(cells) > MAX_RUNS:
        raise ParamError(f"{sweep.name}: {len(cells):,} runs; a sweep has at most {MAX_RUNS:,}")
    wanted = [(BASELINE, values) for _, values in cells] + cells
    runs = [sweep_run(sweep, strategy, values, reports, seeds) for strategy, values in wanted]
    return list({run.path: run for run in runs}.values())


def sweep_run(sweep: SweepDefinition, strategy: str, values: dict[str, Any], reports: Path, seeds: str | None) -> Run:
    """The run of one strategy at one combination of values."""
    params = sweep.params(strategy, values)
    used = sweep.used(strategy, values)
    parts = [strategy, params.energy, *(f"{axis}{value}" for axis, value in used.items() if axis != "energy")]
    if seeds is not None:
        usual, params = params.seeds, RunParams(**params.resolved() | {"seeds": seeds})
        parts += [f"seeds{params.seeds.replace(',', '_')}"] if params.seeds != usual else []
    given = [name for name in params.resolved() if name in {"strategy", "seeds", *sweep.settings, *sweep.axes}]
    arguments = [part for name in given for part in ("-p", name, str(params.resolved()[name]))]
    name = re.sub(r"[^A-Za-z0-9_.-]", ".", "-".join(parts))
    return Run(params, tuple(arguments), reports / sweep.name / f"{name}.ipynb")


def copy_sweep_file(file: Path, folder: Path) -> None:
    """Copy the sweep's file into the folder of its results, atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{SWEEP_FILE}.{os.getpid()}"
    part.write_bytes(file.read_bytes())
    part.replace(folder / SWEEP_FILE)
