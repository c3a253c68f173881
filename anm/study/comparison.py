"""Comparisons at equal compute: a YAML file declares regimes and arms, and each pair of them is a run.

    settings: {schedule: wsd, seeds: 0-29}                  # of all runs; the other settings have their defaults
    regimes:
      inverse-4: {task: inverse, n: 4, budget_steps: 2000}  # `arms: [none]` in a regime limits it to some arms
    arms:
      none: {}                                              # an arm without `strategy` has that of its name
      adversarial-10: {strategy: adversarial, mining_opt_steps: 10}
    tuning:                                                 # optional, see anm.study.tuning
      seeds: 1000-1003

Every run has the compute of `budget_steps` steps of `none`. The run of arm `none` has twice that: its learning curve
must reach beyond the budget, to give compute multipliers above 1. <name>.tuning.csv beside the file holds the trials
of the tuning; each run takes the settings of its regime's and arm's best trial.
"""

import csv
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anm.params import ParamError, RunParams
from anm.study.plan import BASELINE, Run, load_yaml
from anm.utils.parsing import did_you_mean

COMPARISON_FILE = "comparison.yaml"  # the copy of the file beside its results, where the report reads it
PARTS = ("settings", "regimes", "arms", "tuning")
POINTS, BASELINE_POINTS = "0.25,0.5,1", "0.125,0.25,0.5,1"  # shares of a run's training at which it is scored
BASELINE_FACTOR = 2  # the baseline's compute, in budgets
TUNED = ("learning_rate", "contrastive_weight")
# Settings that a part of the file cannot have: there they would be ignored, or compare unlike runs
REFUSED = {
    "settings": ("strategy", "budget_points"),
    "regimes": ("strategy", "budget_points"),
    "arms": ("budget_points", "budget_steps", "seeds", "task", "n"),
}


@dataclass(frozen=True)
class ComparisonDefinition:
    """Regimes (name -> settings), arms (name -> settings), and what is common to all.

    limits: regime -> its arms, where it does not have all. tuned: (regime, arm) -> the settings of its best trial.
    """

    name: str
    settings: dict[str, Any]
    regimes: dict[str, dict[str, Any]]
    arms: dict[str, dict[str, Any]]
    limits: dict[str, list[str]]
    tuning: dict[str, Any] = field(default_factory=dict)
    tuned: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def cells(self) -> list[tuple[str, str]]:
        """(regime, arm) of every run, regime by regime; the baseline first."""
        return [(regime, arm) for regime in self.regimes for arm in self.limits.get(regime, self.arms)]

    def given(self, regime: str, arm: str) -> dict[str, Any]:
        """The settings that a run is given; the others have their defaults."""
        settings = {"strategy": arm} | self.settings | self.regimes[regime] | self.arms[arm]
        settings |= self.tuned.get((regime, arm), {}) | {"budget_points": POINTS}
        if arm == BASELINE:
            settings["budget_points"] = BASELINE_POINTS
            settings["budget_steps"] = BASELINE_FACTOR * self.budget(regime)
        return settings

    def budget(self, regime: str) -> int:
        """The budget of a regime, in steps of `none`; 0 if none is declared. Raises `ParamError` on an invalid one."""
        return RunParams(budget_steps=(self.settings | self.regimes[regime]).get("budget_steps", 0)).budget_steps

    def params(self, regime: str, arm: str) -> RunParams:
        """The parameters of one run. Raises `ParamError`, naming regime and arm."""
        try:
            return RunParams(**self.given(regime, arm))
        except ParamError as error:
            raise ParamError(f"{regime}, {arm}: {error}") from None


def read_comparison_file(path: str | Path) -> ComparisonDefinition:
    """The comparison that a YAML file declares, called by the file's name.

    Raises `ParamError` on anything that cannot run.
    """
    path = Path(path)
    parts = load_yaml(path)
    check_parts(path, parts)
    regimes = {name: dict(settings or {}) for name, settings in parts["regimes"].items()}
    arms = {name: dict(settings or {}) for name, settings in parts["arms"].items()}
    limits = {name: settings.pop("arms") for name, settings in regimes.items() if "arms" in settings}
    check_limits(path, limits, arms)
    check_places(path, {"settings": {"all": parts.get("settings") or {}}, "regimes": regimes, "arms": arms})
    name = path.parent.name if path.name == COMPARISON_FILE else path.stem
    settings = {"checkpoint_dir": f"checkpoints/{name}"} | (parts.get("settings") or {})
    tuned = best_trials(path.with_suffix(".tuning.csv"))
    comparison = ComparisonDefinition(name, settings, regimes, arms, limits, parts.get("tuning") or {}, tuned)
    for regime, arm in comparison.cells():
        if not comparison.params(regime, arm).budget_steps:
            raise ParamError(f"{path}: {regime}: budget_steps is missing; give the budget, in steps of {BASELINE}")
    return comparison


def check_parts(path: Path, parts: dict) -> None:
    """Raises `ParamError` unless regimes and arms are mappings with good names, the baseline among the arms."""
    for part in parts:
        if part not in PARTS:
            hint = f"{did_you_mean(part, PARTS)} Allowed: {', '.join(PARTS)}"
            raise ParamError(f"{path}: {part}: there is no such part of a comparison.{hint}")
    for part in ("regimes", "arms"):
        entries = parts.get(part)
        if not isinstance(entries, dict) or not entries:
            raise ParamError(f"{path}: {part}: must hold lines of the form `name: {{setting: value, ...}}`")
        for name, settings in entries.items():
            if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name) or "--" in name:
                raise ParamError(f"{path}: {part}: {name!r}: must be a name of letters, digits, dots and dashes")
            if not isinstance(settings or {}, dict):
                raise ParamError(f"{path}: {part}: {name}: must be {{setting: value, ...}}, not {settings!r}")
    if BASELINE not in parts["arms"]:
        raise ParamError(
            f"{path}: arms: {BASELINE} is missing, the baseline of every comparison; add `{BASELINE}: {{}}`"
        )
    for part in ("settings", "tuning"):
        if not isinstance(parts.get(part) or {}, dict):
            raise ParamError(f"{path}: {part}: must hold lines of the form `name: value`")


def check_limits(path: Path, limits: dict[str, Any], arms: dict[str, dict]) -> None:
    """Raises `ParamError` where a regime names an arm that is not declared, or leaves the baseline out."""
    for regime, names in limits.items():
        named = names if isinstance(names, list) else []
        if BASELINE not in named or any(name not in list(arms) for name in named):
            allowed = f"must be a list of arms with {BASELINE}, of: {', '.join(arms)}"
            raise ParamError(f"{path}: regimes: {regime}: arms = {names!r}: {allowed}")


def check_places(path: Path, parts: dict[str, dict[str, dict]]) -> None:
    """Raises `ParamError` on a setting in a part that cannot have it, and on a baseline of another strategy."""
    for part, entries in parts.items():
        for name, settings in entries.items():
            for setting in [setting for setting in REFUSED[part] if setting in settings]:
                allowed = (
                    ", ".join(place for place in REFUSED if setting not in REFUSED[place]) or "the comparison alone"
                )
                raise ParamError(f"{path}: {part}: {name}: {setting} cannot be set here; it is set by {allowed}")
    if (strategy := parts["arms"][BASELINE].get("strategy", BASELINE)) != BASELINE:
        raise ParamError(f"{path}: arms: {BASELINE}: strategy = {strategy!r}: must be {BASELINE}; rename the arm")


def best_trials(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """(regime, arm) -> the settings of its trial with the lowest error; empty without a file of trials.

    Of an arm's trials with several budgets, those of the largest budget count: shorter ones compare otherwise.
    Raises `ParamError` on a file that holds no trials.
    """
    if not path.is_file():
        return {}
    best: dict[tuple[str, str], dict[str, str]] = {}
    try:
        rows = [row for row in csv.DictReader(path.read_text().splitlines()) if row["error"]]
        for row in sorted(rows, key=lambda row: (-int(row["budget_steps"]), float(row["error"]))):
            best.setdefault((row["regime"], row["arm"]), row)
        return {key: {name: float(row[name]) for name in TUNED if row[name]} for key, row in best.items()}
    except (KeyError, ValueError) as error:
        reason = f"is not a table of trials ({type(error).__name__}: {error})"
        raise ParamError(f"{path}: {reason}; move it away and run anm.study.tuning again") from None


def comparison_runs(comparison: ComparisonDefinition, reports: Path, seeds: str | None = None) -> list[Run]:
    """Every run of a comparison. `seeds` other than the declared ones make further notebooks."""
    return [comparison_run(comparison, regime, arm, reports, seeds) for regime, arm in comparison.cells()]


def comparison_run(comparison: ComparisonDefinition, regime: str, arm: str, reports: Path, seeds: str | None) -> Run:
    """The run of one arm in one regime: reports/<name>/<regime>--<arm>.ipynb."""
    params, given = comparison.params(regime, arm), comparison.given(regime, arm)
    stem = f"{regime}--{arm}"
    if seeds is not None:
        usual, params = params.seeds, RunParams(**params.resolved() | {"seeds": seeds})
        given["seeds"] = params.seeds
        stem += f"-seeds{params.seeds.replace(',', '_')}" if params.seeds != usual else ""
    arguments = [part for name in given for part in ("-p", name, str(params.resolved()[name]))]
    return Run(params, tuple(arguments), reports / comparison.name / f"{stem}.ipynb")


def copy_comparison_file(file: Path, folder: Path) -> None:
    """Copy the file and its trials into the folder of the results, atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    for source, name in ((file, COMPARISON_FILE), (file.with_suffix(".tuning.csv"), "comparison.tuning.csv")):
        if source.is_file():
            part = folder / f".{name}.{os.getpid()}"
            part.write_bytes(source.read_bytes())
            part.replace(folder / name)
