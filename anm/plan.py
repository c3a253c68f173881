"""What a study consists of: its runs, their parameters, and which of them are finished."""

import re
from dataclasses import dataclass
from pathlib import Path

from anm.miners import unused
from anm.params import NOT_IDENTITY, ParamError, RunParams, closest, load_yaml, parse_seeds, spell_seeds
from anm.record import read_run
from anm.schema import RecordError

ROOT = Path(__file__).resolve().parent.parent
STRATEGIES = ("none", "random", "adversarial")
# What may differ between a finished run and the one asked for without making them two.
INCIDENTAL = NOT_IDENTITY - {"test_problems"}


@dataclass(frozen=True)
class Run:
    """One notebook to execute: its parameters, how papermill gets them, and where it goes."""

    params: RunParams
    arguments: tuple[str, ...]
    path: Path

    @property
    def part(self) -> Path:
        """The notebook's name until it is complete."""
        return self.path.with_name(f"{self.path.stem}.part.ipynb")


def plan(
    study: str, strategies=STRATEGIES, files=(), settings=(), seeds=None, chunks: int = 1, reports: Path | None = None
) -> list[Run]:
    """The runs of a study, one per strategy and chunk of its seeds; all strategies of the first chunk first.

    Parameters come from params/<strategy>.yaml, params/<study>.yaml, `files` and `settings` (name, value); later ones win.
    Raises `ParamError` on anything that cannot be run.
    """
    if not re.fullmatch(r"\w[\w.-]*", study):
        raise ParamError(f"study = {study!r}: must be a name of letters, digits, dots and dashes")
    folder = (reports or ROOT / "reports") / study
    per_strategy = [
        plan_strategy(study, strategy, list(files), dict(settings), seeds, chunks, folder) for strategy in strategies
    ]
    check_alike([runs[0].params for runs in per_strategy])
    return [run for chunk in zip(*per_strategy, strict=True) for run in chunk]


def check_alike(arms: list[RunParams]) -> None:
    """Raises `ParamError` where strategies that are to be compared differ in another setting that they use."""
    for name in [name for name in RunParams.model_fields if name not in INCIDENTAL | {"strategy"}]:
        values = {arm.strategy: getattr(arm, name) for arm in arms if name not in unused(arm.strategy)}
        if len(set(values.values())) > 1:
            each = ", ".join(f"{value!r} for {strategy}" for strategy, value in values.items())
            raise ParamError(
                f"{name} = {each}: strategies are compared at the same settings; give this one for all of them, by -p {name} ... "
                "or in a file with -f, or ask for the strategies one by one"
            )


def plan_strategy(
    study: str, strategy: str, files: list, settings: dict, seeds, chunks: int, folder: Path
) -> list[Run]:
    """The runs of one strategy, one per chunk of the seeds."""
    if "strategy" in settings:
        raise ParamError(f"strategy = {settings['strategy']!r}: is given by --strategy, not by -p")
    files = [*standard_files(study, strategy, bool(files)), *files]
    given = {name: value for file in files for name, value in load_yaml(file).items()}
    usual = spell_seeds_of(given)
    seeds = seeds or settings.get("seeds") or usual
    settings.pop("seeds", None)  # a chunk's own go to the notebook
    if (
        "checkpoint_dir" not in given
    ):  # of the study's own, so that studies at work side by side never share a checkpoint
        settings = {"checkpoint_dir": f"checkpoints/{study}"} | settings
    params = RunParams(**given | settings | {"strategy": strategy, "seeds": seeds})
    runs = []
    for chunk in split_seeds(params, chunks):
        flags = [("strategy", strategy), *settings.items()] + ([("seeds", chunk)] if chunk != usual else [])
        arguments = [part for file in files for part in ("-f", str(file))]
        arguments += [part for name, value in flags for part in ("-p", name, str(value))]
        suffix = "" if chunk == usual else f"-seeds{chunk.replace(',', '_')}"
        name = re.sub(r"[^\w.-]", ".", f"{strategy}-{params.energy}") + suffix
        runs.append(Run(RunParams(**params.resolved() | {"seeds": chunk}), tuple(arguments), folder / f"{name}.ipynb"))
    return runs


def standard_files(study: str, strategy: str, others: bool) -> list[Path]:
    """The parameter files that go by the names of the strategy and of the study."""
    folder = ROOT / "params"
    scale = folder / f"{study}.yaml"
    if not scale.is_file() and not others:
        known = sorted(path.stem for path in folder.glob("*.yaml"))
        raise ParamError(
            f"study = {study!r}: there is no params/{study}.yaml; write it, or give a file of parameters with -f."
            f"{closest(study, known)} There are: {', '.join(known)}"
        )
    return [path for path in (folder / f"{strategy}.yaml", scale) if path.is_file()]


def spell_seeds_of(given: dict) -> str:
    """The study's own seeds, which a run's name leaves out."""
    return RunParams(**{name: given[name] for name in ("seeds",) if name in given}).seeds


def split_seeds(params: RunParams, chunks: int) -> list[str]:
    """The seeds in this many chunks, of equal size but for one."""
    seeds = params.seed_list
    if not 1 <= chunks <= len(seeds):
        raise ParamError(f"chunks = {chunks}: must be from 1 to the number of seeds, {len(seeds)}")
    cuts = [len(seeds) * index // chunks for index in range(chunks + 1)]
    return [spell_seeds(",".join(map(str, seeds[first:last]))) for first, last in zip(cuts, cuts[1:])]


def finished(run: Run) -> str | None:
    """The names of the complete notebooks that hold this run already, or None if it is to be done.

    Raises `ParamError` where one stands in its way: other parameters under its name, or some of its seeds.
    """
    wanted, seeds, held = settings_of(run.params.resolved()), set(run.params.seed_list), {}
    for path in sorted(run.path.parent.glob("*.ipynb")):
        if path == run.path or not path.name.endswith(".part.ipynb"):
            check_in_the_way(run, path, wanted, held)
    theirs = set().union(*held.values()) & seeds
    if theirs == seeds:
        return ", ".join(sorted(held))
    if theirs:
        rest = spell_seeds(",".join(map(str, sorted(seeds - theirs))))
        raise ParamError(
            f"seeds = {run.params.seeds!r}: some are already in {', '.join(sorted(held))}; ask for the others: --seeds {rest}"
        )
    return None


def check_in_the_way(run: Run, path: Path, wanted: dict, held: dict) -> None:
    """Enters the seeds that a finished notebook shares with the run in `held`; refuses to replace a different one."""
    try:
        params = read_run(path)["params"]
    except RecordError as error:
        if path == run.path:
            raise ParamError(f"{path}: is in the way and is no complete run ({error.reason}); move it away") from None
        return
    theirs = settings_of(params)
    if all(theirs.get(name) == value for name, value in wanted.items()):
        if shared := set(parse_seeds(params["seeds"])) & set(run.params.seed_list):
            held[path.name] = shared
        elif path == run.path:
            raise ParamError(
                f"{path}: holds a finished run of other seeds ({params['seeds']}, and {run.params.seeds} asked for); "
                f"a further notebook beside it: --seeds {run.params.seeds}"
            )
    elif path == run.path:
        differ = ", ".join(
            f"{name} = {theirs.get(name)!r} there, {value!r} asked for"
            for name, value in wanted.items()
            if theirs.get(name) != value
        )
        raise ParamError(
            f"{path}: holds a finished run with other parameters ({differ}); name another study with --study, or move it away"
        )


def settings_of(params: dict) -> dict:
    """The settings that make two runs two, seeds aside."""
    return {name: value for name, value in params.items() if name not in INCIDENTAL | {"seeds"}}
