"""Run a study: one executed notebook per strategy in reports/<study>/, and a report of them.

    python -m anm.study run --study quick --strategy none random adversarial
    python -m anm.study report --study quick
    python -m anm.study preflight --study full
    python -m anm.study run --grid params/sweeps/mining.yaml
    python -m anm.study run --comparison params/comparisons/equal-compute.yaml

Exit codes: 0 success; 2 a setting or this machine is not usable; 3 a run failed; 4 another process is writing the
same run; 75 stopped by a signal, and the same command resumes. (Python itself gives 1 for a bug in anm.)
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from anm.params import ParamError
from anm.records.schema import RecordError
from anm.study.comparison import comparison_runs, copy_comparison_file, read_comparison_file
from anm.study.floors import add_floors_command, run_floors
from anm.study.plan import BASELINE, STRATEGIES, Run, finished, plan_study
from anm.study.preflight import PreflightError, check_run, describe_code
from anm.study.run import UNUSABLE, log, log_error, run_all
from anm.study.sweep import copy_sweep_file, read_sweep_file, sweep_runs
from anm.study.tool_commands import add_tool_commands, copy_files, run_benchmark, run_export
from anm.utils.locations import work_folder
from anm.utils.optional import MissingPackageError

# Its report is reports/summary.html; that of any other study is reports/<study>/summary.html
FRONT_STUDY = "equal-compute"
FRONT_PARTS = {"appendix": "cpu", "second": "connectivity"}  # the earlier study and the later comparison, shown there
FULL_SCALE = "h100"  # the folder of runs at a part of the full scale, of which every comparison's report tells
OTHER_COMMANDS = {"floors": run_floors, "export": run_export, "files": copy_files}  # they plan no study


def build_study_report(folder: Path, output: Path, planned: Callable[[], list[Run]], strategies: Sequence[str]) -> int:
    """Build a report from the notebooks in `folder`; prints the missing runs, the verdict and the report's path."""
    from anm.report import build_report, gather, verdict  # only here: runs need no figures

    log_missing(planned)
    path = build_report(folder, output, plan=strategies)
    print(verdict(gather(folder, strategies)))
    print(path, flush=True)
    return 0


def build_comparison(folder: Path, output: Path, planned: Callable[[], list[Run]], figure: Path | None) -> int:
    """As `build_study_report`, for a comparison; `figure`: where its forest plot goes as a picture, if given."""
    from anm.report import build_comparison_report, comparison_verdict, gather_comparison, write_forest

    log_missing(planned)
    parts = {"part": FULL_SCALE} | (FRONT_PARTS if folder.name == FRONT_STUDY else {})
    others = {role: folder.parent / name for role, name in parts.items()}
    path, results = build_comparison_report(folder, output, **others), gather_comparison(folder)
    print(comparison_verdict(results))
    if figure:
        print(write_forest(results, figure))
    print(path, flush=True)
    return 0


def log_missing(planned: Callable[[], list[Run]]) -> None:
    """Name the planned runs that are not finished."""
    try:
        missing = [run.path.stem for run in planned() if not finished(run)]
        log(f"runs that the report lacks: {', '.join(missing)}" if missing else "the report has all planned runs")
    except ParamError as error:
        log(f"the report cannot name the runs that it lacks, because one of those asked for cannot run: {error}")


def show_preflight(runs: list[Run]) -> int:
    """Print the runs, and which are finished. Raises `PreflightError` if this machine cannot do them."""
    log(f"{len(runs)} runs; as a Slurm array: --array=0-{len(runs) - 1}")
    problems = set()
    for cell, run in enumerate(runs):
        notebooks = finished(run)
        state = f", finished in {notebooks}" if notebooks else ""
        budget = run.params.budget_steps
        length = f"compute of {budget} steps of {BASELINE}" if budget else f"{run.params.train_steps} steps"
        log(f"{cell}: {run.path.stem}, seeds {run.params.seeds}, {length}{state}")
        try:
            check_run(run.params, run.path.parent)
        except PreflightError as error:
            problems.update(str(error).splitlines())
    if problems:
        raise PreflightError("\n".join(sorted(problems)))
    log("ready")
    return 0


def select_runs(runs: list[Run], cell: int | None, of: int | None) -> list[Run]:
    """All runs, or only number `cell` of them. Raises `ParamError` if there are not `of` runs."""
    if cell is None:
        return runs
    names = ", ".join(run.path.stem for run in runs)
    if of is not None and of != len(runs):
        raise ParamError(
            f"array of {of} task(s): this study has {len(runs)} runs ({names}); submit it with "
            f"--array=0-{len(runs) - 1}, or name the strategies that you want with --strategy"
        )
    if not 0 <= cell < len(runs):
        raise ParamError(f"cell = {cell}: must be from 0 to {len(runs) - 1}; this study has {len(runs)} runs ({names})")
    return [runs[cell]]


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    command = "anm" if Path(sys.argv[0]).name == "anm" else "python -m anm.study"
    top = argparse.ArgumentParser(
        prog=command, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = argparse.ArgumentParser(add_help=False)
    add = shared.add_argument
    add("--study", default="quick", help="the study: params/<study>.yaml and reports/<study>/ (default: quick)")
    add("--grid", type=Path, metavar="FILE", help="a sweep instead of a study: its YAML file; results: reports/<file>/")
    add("--comparison", type=Path, metavar="FILE", help="regimes and arms at equal compute: their YAML file")
    add("--reports", type=Path, help="folder of all results (default: reports)")
    add("--output", type=Path, metavar="FILE", help="the report's file (default: reports/<study>/summary.html)")
    add("--strategy", nargs="+", action="extend", help=f"strategies to run (default: {' '.join(STRATEGIES)})")
    add("--seeds", help='other seeds than the study\'s, such as "10-19"; their notebooks go beside the finished ones')
    add("--chunks", type=int, default=1, help="notebooks per strategy, each with a part of the seeds (default: 1)")
    repeated = {"action": "append", "default": []}
    add("-f", dest="files", type=Path, metavar="FILE", help="another YAML file of parameters; repeatable", **repeated)
    add("-p", dest="settings", nargs=2, metavar=("NAME", "VALUE"), help="one parameter; repeatable", **repeated)
    add("--wait", type=float, default=60, help="seconds to wait for another process at the same run (default: 60)")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", parents=[shared], help="execute the runs that are not finished")
    run.add_argument("--cell", type=int, help="execute only this run, by its number in the output of preflight")
    run.add_argument("--of", type=int, help="number of tasks of the Slurm array; must be the number of runs")
    commands.add_parser("preflight", parents=[shared], help="list the runs, and check that this machine can do them")
    add_floors_command(commands)
    add_tool_commands(commands)
    report = commands.add_parser("report", parents=[shared], help="build the report; names the runs that are missing")
    report.add_argument(
        "--figure", type=Path, metavar="FILE", help="of a comparison: also write its forest plot as PNG"
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["benchmark"]:
        return run_benchmark(arguments[1:])
    options = make_parser().parse_args(arguments)
    try:
        if command := OTHER_COMMANDS.get(options.command):
            return command(options)
        for name in ("grid", "comparison", "output", "figure"):  # paths of the caller's folder
            if path := getattr(options, name, None):
                setattr(options, name, path.resolve())
        reports, files = options.reports and options.reports.resolve(), [file.resolve() for file in options.files]
        # Kernels start in the folder of the results. This lets them import the caller's strategies and energies.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), os.getcwd()]))
        folder = work_folder()
        with contextlib.chdir(folder):
            return run_command(options, reports or folder / "reports", files)
    except (ParamError, RecordError, PreflightError, MissingPackageError, OSError) as error:
        log_error(error)
        return UNUSABLE


def run_command(options: argparse.Namespace, reports: Path, files: list[Path]) -> int:
    """Run the command of these options in the folder of the results; returns the exit code."""
    sweep = read_sweep_file(options.grid) if options.grid else None
    comparison = read_comparison_file(options.comparison) if options.comparison else None
    study = (sweep or comparison).name if sweep or comparison else options.study
    strategies = (BASELINE, *sweep.strategies) if sweep else options.strategy or STRATEGIES
    planned = partial(planned_runs, options, reports, files)
    if options.command == "report":
        page = options.output or reports / ("" if study == FRONT_STUDY else study) / "summary.html"
        if comparison:
            return build_comparison(reports / study, page, planned, options.figure)
        return build_study_report(reports / study, page, planned, strategies)
    runs = planned()
    log(describe_code())
    if options.command == "preflight":
        return show_preflight(runs)
    if sweep:
        copy_sweep_file(options.grid, reports / study)
    if comparison:
        copy_comparison_file(options.comparison, reports / study)
    return run_all(select_runs(runs, options.cell, options.of), options.wait)


def planned_runs(options: argparse.Namespace, reports: Path, files: list[Path]) -> list[Run]:
    """The runs of the study, sweep or comparison. Raises `ParamError` on options that would be ignored."""
    declared = {"--grid": options.grid, "--comparison": options.comparison}
    file = next(filter(None, declared.values()), None)
    if not file:
        strategies = options.strategy or STRATEGIES
        return plan_study(options.study, strategies, files, options.settings, options.seeds, options.chunks, reports)
    given = {"--strategy": options.strategy, "-f": files, "-p": options.settings, "--chunks": options.chunks > 1}
    given |= {"--comparison": options.grid and options.comparison}
    if ignored := [name for name, value in given.items() if value]:
        option = "--grid" if options.grid else "--comparison"
        raise ParamError(f"{', '.join(ignored)}: not allowed with {option}; change its file, {file}")
    if options.grid:
        return sweep_runs(read_sweep_file(file), reports, options.seeds)
    return comparison_runs(read_comparison_file(file), reports, options.seeds)
