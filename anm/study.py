"""A study: one executed notebook per strategy in reports/<study>/, and its report. What make and Slurm call.

    python -m anm.study run --study quick --strategy none random adversarial
    python -m anm.study report --study quick
    python -m anm.study preflight --study full
    python -m anm.study run --grid params/sweeps/mining.yaml

Exit codes: 0 all is there; 2 a setting or this machine will not do; 3 a run failed; 4 another process is at
work on the run; 75 stopped by a signal, the same command goes on. (1 is Python's own, for a defect of ours.)
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from anm.checkpoint import discard
from anm.execution import Busy, StopRequest, execute, only_writer
from anm.grid import BASELINE, grid_runs, keep_grid, read_grid
from anm.params import ParamError
from anm.plan import ROOT, STRATEGIES, Run, finished, plan
from anm.preflight import Unfit, describe_code, preflight
from anm.record import FAILED, read_run
from anm.schema import RecordError

RECORDED = (
    "full",
    "cpu",
)  # the study on record, at a GPU's scale or at that of two cores: its report is reports/summary.html
DEATHS = 3  # of a kernel, after which a run is given up
UNUSABLE, FAILURE, BUSY, STOPPED = 2, 3, 4, 75


class RunFailed(RuntimeError):
    """A run that ended without a complete record."""


class Stopped(RuntimeError):
    """A run that a signal ended; its checkpoint is written."""


def say(*words) -> None:
    print("anm:", *words, flush=True)


def do(run: Run, stop: StopRequest, wait: float) -> None:
    """Bring a run's complete notebook into being, unless it is there. Raises what stands in its way."""
    if skip(run):
        return
    preflight(run.params, run.path.parent)
    with only_writer(run.path, stop, wait, say):
        if skip(run):  # the one waited for may have done it
            return
        started = time.monotonic()
        say(f"{run.path.stem}: papermill notebooks/train.ipynb {' '.join(run.arguments)}")
        train(run, stop)
        run.part.rename(run.path)
        say(f"{run.path.stem}: finished after {time.monotonic() - started:.0f} s: {run.path}")


def skip(run: Run) -> bool:
    holders = finished(run)
    if holders:
        say(f"{run.path.stem}: finished already, in {holders}")
    return bool(holders)


def train(run: Run, stop: StopRequest) -> None:
    """Execute the notebook until it holds a record; a kernel that died resumes from its checkpoint.

    Raises `Stopped` after a signal, `RunFailed` with the notebook's own error, or when the kernel keeps dying.
    """
    if not run.params.resume and not int(os.environ.get("SLURM_RESTART_COUNT", "0")):
        discard(run.params)  # once: a run that begins anew still goes on from its own checkpoints
    for death in range(1, DEATHS + 1):
        run.part.unlink(missing_ok=True)
        code = execute(
            ROOT / "notebooks" / "train.ipynb", run.part, [*run.arguments, "-p", "resume", "True"], ROOT, stop
        )
        reason = shortcoming(run.part, code)
        if reason is None:
            return
        if stop.name or reason.startswith(f"{FAILED}Interrupted:"):
            how = (
                "the same command goes on from its checkpoint"
                if run.params.resume
                else "its checkpoint is written; go on from it with -p resume yes"
            )
            raise Stopped(f"{run.path.stem}: stopped by {stop.name or 'a signal to its kernel'}; {how}")
        if reason.startswith(FAILED):
            raise RunFailed(f"{run.path.stem}: {reason} (in full: {run.part})")
        say(
            f"{run.path.stem}: the kernel died, {death} of {DEATHS} times ({reason})"
            + ("; it resumes" if death < DEATHS else "")
        )
        preflight(run.params, run.path.parent)  # a disk that has filled up meanwhile looks like a death, too
    raise RunFailed(
        f"{run.path.stem}: the kernel died {DEATHS} times ({reason}); most often it is out of memory: "
        "give it more, or train fewer seeds at once (--chunks), or a smaller batch_size"
    )


def shortcoming(part: Path, code: int) -> str | None:
    """What a notebook that papermill has left with this exit code lacks to be complete, or None."""
    try:
        read_run(part)
    except RecordError as error:
        return error.reason
    return f"papermill ended with exit code {code}" if code else None


def run_all(runs: list[Run], wait: float) -> int:
    """Do the runs in order; one that fails does not keep the next from its turn. Returns the exit code."""
    worst = 0
    with StopRequest() as stop:
        for run in runs:
            try:
                do(run, stop, wait)
            except Stopped as error:
                say(error)
                return STOPPED
            except (ParamError, Unfit, Busy, RunFailed, OSError) as error:
                complain(f"{run.path.stem}: {error}" if run.path.stem not in str(error) else error)
                code = (
                    BUSY
                    if isinstance(error, Busy)
                    else FAILURE
                    if isinstance(error, (RunFailed, OSError))
                    else UNUSABLE
                )
                worst = worst or code
            if stop.name:
                return STOPPED
    return worst


def complain(error) -> None:
    for line in str(error).splitlines():
        print(f"anm: error: {line}", file=sys.stderr, flush=True)


def report(reports: Path, study: str, planned: Callable[[], list[Run]], strategies: Sequence[str]) -> int:
    """Build a study's report from its executed notebooks; says what is missing, the verdict and where it is."""
    from anm.report import build_report, gather, verdict  # figures: not needed where runs are done

    try:
        missing = [run.path.stem for run in planned() if not finished(run)]
        say(f"runs that the report lacks: {', '.join(missing) or 'none'}")
    except ParamError as error:
        say(f"which runs the report lacks cannot be told, since not all that is asked for can be run: {error}")
    path = build_report(
        reports / study,
        reports / "summary.html" if study in RECORDED else reports / study / "summary.html",
        plan=strategies,
    )
    print(verdict(gather(reports / study, strategies)))
    print(path, flush=True)
    return 0


def check(runs: list[Run]) -> int:
    """Say which runs there are and which are finished, and whether this machine can do the others."""
    say(f"{len(runs)} runs; as a Slurm array: --array=0-{len(runs) - 1}")
    problems = set()
    for cell, run in enumerate(runs):
        done = finished(run)
        say(
            f"{cell}: {run.path.stem}, seeds {run.params.seeds}, {run.params.train_steps} steps"
            + (f", finished in {done}" if done else "")
        )
        try:
            preflight(run.params, run.path.parent)
        except Unfit as error:
            problems.update(str(error).splitlines())
    if problems:
        raise Unfit("\n".join(sorted(problems)))
    say("ready")
    return 0


def pick(runs: list[Run], cell: int | None, of: int | None) -> list[Run]:
    """All runs, or the one of this cell of a Slurm array that has to have as many tasks as there are runs."""
    if cell is None:
        return runs
    names = ", ".join(run.path.stem for run in runs)
    if of is not None and of != len(runs):
        raise ParamError(
            f"array of {of} task(s): this study has {len(runs)} runs ({names}); submit it with --array=0-{len(runs) - 1}, "
            "or name the strategies that you want with --strategy"
        )
    if not 0 <= cell < len(runs):
        raise ParamError(f"cell = {cell}: must be from 0 to {len(runs) - 1}; this study has {len(runs)} runs ({names})")
    return [runs[cell]]


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m anm.study", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)
    runs = argparse.ArgumentParser(add_help=False)
    runs.add_argument(
        "--study", default="quick", help="names params/<study>.yaml and reports/<study>/ (default: quick)"
    )
    runs.add_argument(
        "--grid", type=Path, metavar="FILE", help="a sweep instead: a YAML file whose name names reports/<name>/"
    )
    runs.add_argument(
        "--reports", type=Path, default=ROOT / "reports", help="folder of all studies' results (default: reports)"
    )
    runs.add_argument("--strategy", nargs="+", action="extend", help=f"default: {' '.join(STRATEGIES)}")
    runs.add_argument(
        "--seeds", help='instead of the study\'s own, such as "10-19": a further notebook beside the finished ones'
    )
    runs.add_argument(
        "--chunks", type=int, default=1, help="notebooks per strategy, each with its share of the seeds (default: 1)"
    )
    runs.add_argument(
        "-f",
        dest="files",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a further YAML file of parameters",
    )
    runs.add_argument(
        "-p", dest="settings", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="one parameter"
    )
    runs.add_argument(
        "--wait", type=float, default=60, help="seconds to wait where another process is at work on a run (default: 60)"
    )
    run = commands.add_parser("run", parents=[runs], help="execute the runs that are not finished")
    run.add_argument("--cell", type=int, help="only this run, by its place in the list of `preflight`")
    run.add_argument("--of", type=int, help="how many tasks the Slurm array has, for a check")
    commands.add_parser("preflight", parents=[runs], help="say what would run, and whether this machine can")
    commands.add_parser(
        "report", parents=[runs], help="build the report from the executed notebooks; names the runs that are missing"
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    reports, files = options.reports.resolve(), [file.resolve() for file in options.files]
    options.grid = options.grid and options.grid.resolve()
    # The caller's own strategies and energies, last: a kernel starts in the project's folder.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), os.getcwd()]))
    try:
        return command(options, reports, files)
    except (ParamError, RecordError, Unfit, OSError) as error:
        complain(error)
        return UNUSABLE


def command(options: argparse.Namespace, reports: Path, files: list[Path]) -> int:
    """Do what was asked for, from the project's folder as the kernels will; returns the exit code."""
    with contextlib.chdir(ROOT):
        grid = read_grid(options.grid) if options.grid else None
        study = grid.name if grid else options.study
        planned = partial(plan_sweep if options.grid else plan_study, options, reports, files)
        if options.command == "report":
            return report(
                reports, study, planned, (BASELINE, *grid.strategies) if grid else options.strategy or STRATEGIES
            )
        runs = planned()
        say(describe_code())
        if options.command == "preflight":
            return check(runs)
        if grid:
            keep_grid(options.grid, reports / study)
        return run_all(pick(runs, options.cell, options.of), options.wait)


def plan_study(options: argparse.Namespace, reports: Path, files: list[Path]) -> list[Run]:
    strategies = options.strategy or STRATEGIES
    return plan(options.study, strategies, files, options.settings, options.seeds, options.chunks, reports)


def plan_sweep(options: argparse.Namespace, reports: Path, files: list[Path]) -> list[Run]:
    """The runs of a sweep, whose file says all but the seeds. Raises `ParamError` on options that it would not heed."""
    given = {"--strategy": options.strategy, "-f": files, "-p": options.settings, "--chunks": options.chunks > 1}
    if ignored := [name for name, value in given.items() if value]:
        raise ParamError(f"{', '.join(ignored)}: a sweep's file says that; change {options.grid}")
    return grid_runs(read_grid(options.grid), reports, options.seeds)


if __name__ == "__main__":
    sys.exit(main())
