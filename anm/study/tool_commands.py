"""The commands `benchmark`, `export` and `files`, which plan no study."""

import argparse
import shutil
from pathlib import Path

from anm.params import ParamError
from anm.study.run import log
from anm.utils.locations import FILES, IN_CLONE

# Format -> how to look at an export
EXPORTS = {
    "mlflow": "mlflow server --backend-store-uri sqlite:///{output}/mlflow.db",
    "ro-crate": "open {output}/ro-crate-metadata.json",
    "model-card": "open {output}/MODEL_CARD.md",
}
COPIED = ("notebooks", "params", "slurm", "constraints.txt")


def add_tool_commands(commands) -> None:
    """Enter the commands into the parser of the command line."""
    commands.add_parser("benchmark", add_help=False, help="time a training step; --help lists the options")
    export = commands.add_parser("export", help="copy the results of a folder into the format of another tool")
    export.add_argument("format", choices=EXPORTS, help="an MLflow store, an RO-Crate, a MODEL_CARD.md")
    export.add_argument("folder", type=Path, help="the folder of executed notebooks, such as reports/quick")
    export.add_argument("--output", type=Path, help="where to write it (default: a folder inside that folder)")
    commands.add_parser("files", help="copy notebooks/, params/ and slurm/ into this folder; replaces no file")


def run_benchmark(arguments: list[str]) -> int:
    """Run `python -m anm.benchmark` with these arguments; returns its exit code."""
    from anm.benchmark.__main__ import main  # only here: the benchmark is above the studies

    return main(arguments)


def run_export(options: argparse.Namespace) -> int:
    """Export a folder; names the notebooks left out. Returns exit code 3 if there are any."""
    from anm.exports import export_folder  # only here: the exports are above the studies

    inside = "" if options.format == "model-card" else options.format
    output = options.output or options.folder / inside
    written, left_out = export_folder(options.format, options.folder.resolve(), output.resolve())
    for path, reason in left_out:
        log(f"left out: {path.name}: {reason}")
    log(f"{written} runs exported; to look at them: {EXPORTS[options.format].format(output=output)}")
    return 3 if left_out else 0


def copy_files(options: argparse.Namespace) -> int:
    """Copy the files of the installed package into the current folder; returns the exit code."""
    if IN_CLONE:
        raise ParamError(f"{FILES}: is a clone of the project; its files are there")
    for path in sorted(path.relative_to(FILES) for path in FILES.rglob("*") if path.is_file()):
        if path.parts[0] in COPIED and path.exists():
            log(f"kept: {path}")
        elif path.parts[0] in COPIED:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(FILES / path, path)
    log(f"notebooks/, params/ and slurm/ are in {Path.cwd()}")
    return 0
