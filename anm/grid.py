"""A sweep: one YAML file that names values for some settings becomes runs, one for each combination of them.

    strategies: [adversarial]
    grid:
      mining_opt_steps: [0, 1, 2, 5, 10]
      mining_noise_scale: [0.5, 1, 2, 3, 5]
    settings: {n: 10, train_steps: 500, seeds: 0-2}       # of every run; the rest are the defaults

To each combination belongs a run of `none`, the baseline; combinations that differ only in what `none` does not use
share one.
"""

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anm.miners import unused
from anm.params import NOT_IDENTITY, ParamError, RunParams, closest, load_yaml
from anm.plan import Run

BASELINE = "none"
KEPT = "grid.yaml"  # the sweep's file beside its results, by which a report knows what they are
PARTS = ("strategies", "grid", "settings")
LARGEST = 10_000  # runs; more is a slip of the pen


@dataclass(frozen=True)
class Grid:
    """A sweep: the values of its axes, the strategies that run at each combination, and what all runs share."""

    name: str
    strategies: tuple[str, ...]
    axes: dict[str, tuple]
    settings: dict[str, Any]

    def params(self, strategy: str, values: dict[str, Any]) -> RunParams:
        """The parameters of one run. Raises `ParamError`."""
        return RunParams(**self.settings | self.used(strategy, values) | {"strategy": strategy})

    def used(self, strategy: str, values: dict[str, Any]) -> dict[str, Any]:
        """The values on those axes that the strategy depends on."""
        return {axis: value for axis, value in values.items() if axis not in unused(strategy)}

    def cells(self) -> list[tuple[str, dict[str, Any]]]:
        """(strategy, axis -> value) of every cell, strategy by strategy, the last axis fastest."""
        values = [dict(zip(self.axes, choice)) for choice in itertools.product(*self.axes.values())]
        return [(strategy, cell) for strategy in self.strategies for cell in values]

    def standard(self) -> dict[str, Any]:
        """The cell that stands for its strategy beside others: on each axis the default, or the first value."""
        usual = RunParams().resolved()
        return {axis: usual[axis] if usual[axis] in values else values[0] for axis, values in self.axes.items()}


def read_grid(path: str | Path) -> Grid:
    """The sweep in a YAML file, called by the file's name. Raises `ParamError` on anything that cannot be run."""
    path = Path(path)
    parts = load_yaml(path)
    for part in parts:
        if part not in PARTS:
            raise ParamError(
                f"{path}: {part}: there is no such part of a sweep.{closest(part, PARTS)} Allowed: {', '.join(PARTS)}"
            )
    axes, settings, strategies = (
        parts.get("grid"),
        parts.get("settings") or {},
        parts.get("strategies", ["adversarial"]),
    )
    if (
        not isinstance(axes, dict)
        or not axes
        or not all(isinstance(name, str) and isinstance(values, list) and values for name, values in axes.items())
    ):
        raise ParamError(f"{path}: grid: must hold lines of the form `setting: [value, ...]`, with a value each")
    listed = isinstance(strategies, list) and strategies and all(isinstance(name, str) for name in strategies)
    if not listed or not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise ParamError(f"{path}: strategies must be a list of names, and settings lines of the form `name: value`")
    if "strategy" in settings:
        raise ParamError(f"{path}: settings: strategy = {settings['strategy']!r}: goes into the list of strategies")
    for axis in axes:
        if axis in NOT_IDENTITY | {"strategy", "seeds"} or axis in settings:
            raise ParamError(
                f"{path}: grid: {axis} cannot be an axis, because it is {'a setting too' if axis in settings else 'no choice of how to train'}"
            )
    settings = {"checkpoint_dir": f"checkpoints/{path.stem}"} | settings
    if set(strategies) == {BASELINE}:
        raise ParamError(
            f"{path}: strategies: must name one besides {BASELINE}, which every sweep runs to compare with"
        )
    return Grid(
        path.stem,
        tuple(strategy for strategy in dict.fromkeys(strategies) if strategy != BASELINE),
        {axis: canonical(axis, values, settings) for axis, values in axes.items()},
        settings,
    )


def canonical(axis: str, values: list, settings: dict) -> tuple:
    """An axis's values as a record spells them, none twice. Raises `ParamError` on one that is not allowed."""
    if axis == "mining_levels":  # whether there are so many levels shows in each run, where they may be an axis too
        settings = settings | {"noise_levels": 1000}
    return tuple(dict.fromkeys(getattr(RunParams(**settings | {axis: value}), axis) for value in values))


def grid_runs(grid: Grid, reports: Path, seeds: str | None = None) -> list[Run]:
    """Every run of a sweep: the baselines first, then the cells. Other `seeds` than the sweep's own make further notebooks.

    Raises `ParamError` on too many of them, and on a name that cannot be a folder's.
    """
    if not re.fullmatch(r"\w[\w.-]*", grid.name):
        raise ParamError(
            f"{grid.name}: a sweep is called by its file's name, which must be of letters, digits, dots and dashes"
        )
    if len(grid.cells()) > LARGEST:
        raise ParamError(f"{grid.name}: {len(grid.cells()):,} runs; a sweep has at most {LARGEST:,}")
    wanted = [(BASELINE, values) for _, values in grid.cells()] + grid.cells()
    runs = {run.path: run for run in (grid_run(grid, strategy, values, reports, seeds) for strategy, values in wanted)}
    return list(runs.values())


def grid_run(grid: Grid, strategy: str, values: dict[str, Any], reports: Path, seeds: str | None) -> Run:
    """The run of one strategy at one combination of values."""
    params = grid.params(strategy, values)
    parts = [
        strategy,
        params.energy,
        *(f"{axis}{value}" for axis, value in grid.used(strategy, values).items() if axis != "energy"),
    ]
    if seeds is not None:
        params = RunParams(**params.resolved() | {"seeds": seeds})
        parts += (
            [f"seeds{params.seeds.replace(',', '_')}"] if params.seeds != grid.params(strategy, values).seeds else []
        )
    given = [name for name in params.resolved() if name in {"strategy", "seeds", *grid.settings, *grid.axes}]
    arguments = [part for name in given for part in ("-p", name, str(params.resolved()[name]))]
    return Run(
        params, tuple(arguments), reports / grid.name / f"{re.sub(r'[^A-Za-z0-9_.-]', '.', '-'.join(parts))}.ipynb"
    )


def keep_grid(file: Path, folder: Path) -> None:
    """Put the sweep's file beside its results, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{KEPT}.{os.getpid()}"
    part.write_bytes(file.read_bytes())
    part.replace(folder / KEPT)
