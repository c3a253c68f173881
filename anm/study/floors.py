"""The command `floors`: the floor table of all tasks, or of some."""

import argparse
import sys

from anm.baselines.floors import FLOORS_FILE, PROBLEMS, floor_table, floors_markdown, registered_tasks
from anm.params import ParamError
from anm.tasks import get
from anm.utils.locations import IN_CLONE


def add_floors_command(commands) -> None:
    """Enter the command into the parser of the command line."""
    floors = commands.add_parser("floors", help="table of what each task allows without a trained network (minutes)")
    floors.add_argument("--task", nargs="+", metavar="NAME", help='tasks, or "module:Class" (default: all registered)')
    floors.add_argument("--problems", type=int, default=PROBLEMS, help=f"test problems (default: {PROBLEMS})")
    floors.add_argument("--write", action="store_true", help="store the table of all tasks, which the report shows")


def run_floors(options: argparse.Namespace) -> int:
    """Print the table in Markdown; returns the exit code, 2 on a task or a number that is not usable."""
    try:
        print_floors(options)
    except ParamError as error:
        print(f"anm: error: {error}", file=sys.stderr)
        return 2
    return 0


def print_floors(options: argparse.Namespace) -> None:
    """Print the table in Markdown, and store it with --write. Raises `ParamError`."""
    if options.problems < 2:
        raise ParamError(f"problems = {options.problems}: must be at least 2")
    if options.write and (options.task or options.problems != PROBLEMS):
        raise ParamError("--write: stores the table of all tasks at the default number of problems; give it alone")
    if options.write and not IN_CLONE:
        raise ParamError("--write: needs a clone of the project, whose table it replaces; leave it out")
    try:
        tasks = [get(name) for name in options.task] if options.task else registered_tasks()
    except ValueError as error:
        raise ParamError(str(error)) from None
    table = floor_table(tasks, options.problems)
    print(floors_markdown(table))
    if options.write:
        table.to_csv(FLOORS_FILE, index=False, float_format="%.6g")
        print(f"\nstored in {FLOORS_FILE}")
