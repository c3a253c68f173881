"""The runs of a study, their parameters, and the check whether a run is finished."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from anm.params import NOT_IN_RUN_ID, ParamError, RunParams, format_seeds, parse_seeds
from anm.records.read import UNFINISHED, read_run, settings_of
from anm.records.schema import RecordError
from anm.registry import unused_settings
from anm.utils.locations import params_file, params_names, work_folder
from anm.utils.parsing import did_you_mean

BASELINE = "none"  # the strategy that all others are compared with
STRATEGIES = (BASELINE, "random", "adversarial")
# A finished run may differ in these from the run that is asked for. Its scores depend on test_problems.
MAY_DIFFER = NOT_IN_RUN_ID - {"test_problems"}


@dataclass(frozen=True)
class Run:
    """One notebook to execute: its parameters, the arguments for papermill, and its path."""

    params: RunParams
    arguments: tuple[str, ...]
    path: Path

    @property
    def part(self) -> Path:
        """The path of the notebook until it is complete."""
        return self.path.with_name(self.path.stem + UNFINISHED)


def plan_study(
    study: str, strategies=STRATEGIES, files=(), settings=(), seeds=None, chunks: int = 1, reports: Path | None = None
) -> list[Run]:
    """The runs of a study, one per strategy and chunk of the seeds; all strategies of the first chunk come first.

    Parameters come from params/<strategy>.yaml, params/<study>.yaml, `files` and `settings` (pairs of name and
    value), in this order; later ones win. Raises `ParamError` on anything that cannot run.
    """
    if not re.fullmatch(r"\w[\w.-]*", study):
        raise ParamError(f"study = {study!r}: must be a name of letters, digits, dots and dashes")
    folder = (reports or work_folder() / "reports") / study
    common = {"files": list(files), "seeds": seeds, "chunks": chunks, "folder": folder}
    per_strategy = [plan_strategy(study, strategy, dict(settings), **common) for strategy in strategies]
    check_alike([runs[0].params for runs in per_strategy])
    return [run for chunk in zip(*per_strategy, strict=True) for run in chunk]


def check_alike(params: list[RunParams]) -> None:
    """Raises `ParamError` where two strategies of a study differ in another setting that both use."""
    for name in [name for name in RunParams.model_fields if name not in MAY_DIFFER | {"strategy"}]:
        values = {p.strategy: getattr(p, name) for p in params if name not in unused_settings(p.strategy)}
        if len(set(values.values())) > 1:
            each = ", ".join(f"{value!r} for {strategy}" for strategy, value in values.items())
            raise ParamError(
                f"{name} = {each}: strategies are compared at the same settings. Give all of them the same value "
                f"(-p {name} ..., or a file with -f), or run the strategies one by one"
            )


def plan_strategy(study: str, strategy: str, settings: dict, *, files, seeds, chunks: int, folder: Path) -> list[Run]:
    """The runs of one strategy, one per chunk of the seeds."""
    if "strategy" in settings:
        raise ParamError(f"strategy = {settings['strategy']!r}: must be given by --strategy, not by -p")
    files = [*standard_files(study, strategy, bool(files)), *files]
    from_files = {name: value for file in files for name, value in load_yaml(file).items()}
    usual = RunParams(**{"seeds": from_files["seeds"]} if "seeds" in from_files else {}).seeds
    seeds = seeds or settings.get("seeds") or usual
    settings.pop("seeds", None)  # each chunk has its own
    if "checkpoint_dir" not in from_files:  # one folder per study: studies that run side by side share no checkpoint
        settings = {"checkpoint_dir": f"checkpoints/{study}"} | settings
    params = RunParams(**from_files | settings | {"strategy": strategy, "seeds": seeds})
    runs = []
    for chunk in split_seeds(params, chunks):
        flags = [("strategy", strategy), *settings.items()] + ([("seeds", chunk)] if chunk != usual else [])
        arguments = [part for file in files for part in ("-f", str(file))]
        arguments += [part for name, value in flags for part in ("-p", name, str(value))]
        suffix = "" if chunk == usual else f"-seeds{chunk.replace(',', '_')}"
        task = "" if params.task == RunParams().task else f"{params.task}-"
        name = re.sub(r"[^\w.-]", ".", f"{strategy}-{task}{params.energy}") + suffix
        runs.append(Run(RunParams(**params.resolved() | {"seeds": chunk}), tuple(arguments), folder / f"{name}.ipynb"))
    return runs


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Settings from a YAML file of `name: value` lines. Raises `ParamError` on anything else."""
    try:
        settings = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        advice = "give the path of a YAML file of parameters"
        raise ParamError(f"{path}: cannot be read ({error.strerror}); {advice}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible date
        raise ParamError(f"{path}: is not YAML ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise ParamError(f"{path}: must hold lines of the form `name: value`, not {type(settings).__name__}")
    return settings


def standard_files(study: str, strategy: str, others: bool) -> list[Path]:
    """The parameter files of the strategy and of the study, where they exist.

    Raises `ParamError` if the study has none and there are no `others`.
    """
    scale = params_file(study)
    if not scale and not others:
        known = params_names()
        raise ParamError(
            f"study = {study!r}: there is no params/{study}.yaml; write it, or give a file of parameters with -f."
            f"{did_you_mean(study, known)} There are: {', '.join(known)}"
        )
    return [path for path in (params_file(strategy), scale) if path]


def split_seeds(params: RunParams, chunks: int) -> list[str]:
    """The seeds in `chunks` parts whose sizes differ by at most one."""
    seeds = params.seed_list
    if not 1 <= chunks <= len(seeds):
        raise ParamError(f"chunks = {chunks}: must be from 1 to the number of seeds, {len(seeds)}")
    cuts = [len(seeds) * index // chunks for index in range(chunks + 1)]
    return [join_seeds(seeds[first:last]) for first, last in zip(cuts, cuts[1:])]


def join_seeds(seeds) -> str:
    """The canonical spelling of these seeds."""
    return format_seeds(",".join(map(str, seeds)))


def finished(run: Run) -> str | None:
    """The names of the complete notebooks that together hold this run, or None if it must run.

    Raises `ParamError` if another run has the name of its notebook, or if only some of its seeds are finished.
    """
    seeds, held = set(run.params.seed_list), {}
    for path in sorted(run.path.parent.glob("*.ipynb")):
        if path == run.path or not path.name.endswith(UNFINISHED):
            if shared := shared_seeds(run, path):
                held[path.name] = shared
    done = set().union(*held.values())
    if done == seeds:
        return ", ".join(sorted(held))
    if done:
        raise ParamError(
            f"seeds = {run.params.seeds!r}: some are already in {', '.join(sorted(held))}; "
            f"ask for the others: --seeds {join_seeds(sorted(seeds - done))}"
        )
    return None


def shared_seeds(run: Run, path: Path) -> set[int]:
    """The seeds of the run that the notebook `path` holds, at the same parameters.

    Raises `ParamError` where the run would replace another finished one.
    """
    try:
        params = read_run(path)["params"]
    except RecordError as error:
        if path == run.path:
            raise ParamError(f"{path}: is not a complete run ({error.reason}); move it away") from None
        return set()
    wanted, there = (settings_of(settings, MAY_DIFFER) for settings in (run.params.resolved(), params))
    differ = [f"{n} = {there.get(n)!r} there, {v!r} asked for" for n, v in wanted.items() if there.get(n) != v]
    shared = set() if differ else set(parse_seeds(params["seeds"])) & set(run.params.seed_list)
    if path == run.path and differ:
        raise ParamError(
            f"{path}: holds a finished run with other parameters ({', '.join(differ)}); "
            "name another study with --study, or move it away"
        )
    if path == run.path and not shared:
        raise ParamError(
            f"{path}: holds a finished run of other seeds ({params['seeds']}, and {run.params.seeds} asked for); "
            f"for another notebook beside it: --seeds {run.params.seeds}"
        )
    return shared
