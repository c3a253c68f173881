"""A run's result inside its executed notebook: write it, read it, collect many."""

import json
import math
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from anm.clock import seconds_per_step
from anm.evaluate import Evaluation
from anm.landscape import Solver
from anm.params import NOT_IDENTITY, RunParams, parse_seeds
from anm.provenance import provenance
from anm.schema import SCHEMA, RecordError, check_record, clean

MIME = "application/vnd.anm.run+json"
SPLITS = ("same", "harder")
UNFINISHED = ".part.ipynb"
FAILED = "failed: "
# Columns of a collection that every run has; settings follow.
COLUMNS = [
    "run",
    "strategy",
    "energy",
    "n",
    "train_steps",
    "seed",
    "split",
    "offset",
    "problems",
    "mse",
    "mse_se",
    "residual",
    "seconds_per_step",
    "device",
    "drawn_on",
    "git_commit",
    "git_dirty",
    "path",
]


class Refused(NamedTuple):
    """A notebook that was left out of a collection, and why."""

    path: Path
    reason: str


def run_record(solver: Solver, evaluation: Evaluation, started: datetime) -> dict:
    """The record of a run, to be emitted when it is over; `started` is an aware datetime."""
    timing = solver.timing
    source = provenance(
        solver.device,
        started,
        timing.get("code"),
        train_seconds=timing["step_seconds"],
        seconds_per_step=seconds_per_step(timing),
        evaluate_seconds=evaluation.seconds,
        resumed=timing["resumed"],
        compiled=timing.get("compiled", False),
    )
    source["own_code"] = solver.params.own_code()
    return {
        "schema": SCHEMA,
        "params": solver.params.resolved(),
        "provenance": source,
        "results": evaluation.results,
        "curves": solver.history,
        "landscape": evaluation.landscape,
    }


def emit_record(record: dict) -> None:
    """Shows the record as an output of the notebook's current cell: this is how a run is stored.

    Arrays and tensors become lists, numbers that are not finite null. Raises `RecordError`, naming the entry,
    if the record is not of schema 1: a run never stores what nobody could read.
    """
    from IPython.display import display

    record = clean(record)
    check_record(record)
    params = record["params"]
    summary = f"anm run record: {params['strategy']}, {params['energy']}, n = {params['n']}, seeds {params['seeds']}"
    display({MIME: record, "text/plain": summary}, raw=True)


def read_run(path: str | Path) -> dict:
    """The record of an executed notebook; a parameter that is younger than the record has its default, with which it ran.

    Raises `RecordError`, naming the file and the reason, unless the file is a notebook with no error
    output and exactly one record of schema 1. The notebook's own claim to be complete counts for nothing.
    """
    try:
        record = only_record(notebook_outputs(path))
    except RecordError as error:
        raise RecordError(error.reason, path) from None
    return record | {"params": RunParams().resolved() | record["params"]}


def only_record(outputs: list[dict]) -> dict:
    """The one valid record among a notebook's outputs, none of which is an error; or `RecordError`."""
    for output in outputs:
        if output.get("output_type") == "error":
            raise RecordError(f"{FAILED}{output.get('ename')}: {output.get('evalue')}")
    bundles = [output["data"] for output in outputs if isinstance(output.get("data"), dict)]
    records = [bundle[MIME] for bundle in bundles if MIME in bundle]
    if not records:
        raise RecordError("no record: the run was stopped before its last cell, or never executed")
    if len(records) > 1:
        raise RecordError(f"{len(records)} records where one belongs")
    check_record(records[0])
    return records[0]


def notebook_outputs(path: str | Path) -> list[dict]:
    """All outputs of all code cells of a notebook (format 4), in order. Raises `RecordError` if it is none."""
    try:
        notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not a notebook: not JSON ({error})") from None
    try:
        outputs = [output for cell in notebook["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]
    except (KeyError, TypeError):
        raise RecordError("not a notebook of format 4") from None
    if not all(isinstance(output, dict) for output in outputs):
        raise RecordError("not a notebook of format 4: an output is no mapping")
    return outputs


def collect_runs(folder: str | Path) -> tuple[pd.DataFrame, list[Refused]]:
    """Scores of all executed notebooks in a folder, one row per (run, seed, split), and what was refused.

    Columns: `COLUMNS` (run is the file's name; drawn_on: what the random numbers come from, any CPU or one kind of GPU), then the other settings that shape the weights. Two runs that
    claim one seed under the same settings are both refused, since nobody can say which one counts.
    Raises `RecordError` if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RecordError("no such folder", folder)
    records, refused = {}, []
    for path in sorted(folder.glob("*.ipynb")):
        try:
            records[path] = read_finished(path)
        except RecordError as error:
            refused.append(Refused(path, error.reason))
    for path, reason in repeated_claims(records).items():
        del records[path]
        refused.append(Refused(path, reason))
    rows = [row for path, record in records.items() for row in tidy_rows(path, record)]
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=COLUMNS)
    return frame[COLUMNS + [name for name in frame if name not in COLUMNS]], sorted(refused)


def read_finished(path: Path) -> dict:
    """As `read_run`, and refuses a notebook that is still named as one in the making."""
    if not path.name.endswith(UNFINISHED):
        return read_run(path)
    try:
        read_run(path)
    except RecordError as error:
        stage = "" if error.reason.startswith(FAILED) else "unfinished: "
        raise RecordError(stage + error.reason, path) from None
    raise RecordError("unfinished: it holds a record, but the run has not closed it", path)


def repeated_claims(records: dict[Path, dict]) -> dict[Path, str]:
    """The runs that claim a (settings, seed) which another one claims too, each with the other's name."""
    claims: dict[tuple, list[Path]] = {}
    for path, record in records.items():
        settings = json.dumps(settings_of(record["params"]), sort_keys=True)
        for seed in parse_seeds(record["params"]["seeds"]):
            claims.setdefault((settings, seed), []).append(path)
    reasons: dict[Path, str] = {}
    for (_, seed), paths in claims.items():
        for path in paths if len(paths) > 1 else ():
            others = ", ".join(other.name for other in paths if other != path)
            reasons.setdefault(path, f"claims seed {seed} under the same settings as {others}")
    return reasons


def settings_of(params: dict) -> dict:
    """The settings that shape the weights or how they are used, seeds aside; plain values only."""
    return {
        name: value
        for name, value in params.items()
        if name not in NOT_IDENTITY | {"seeds"} and isinstance(value, (str, int, float, type(None)))
    }


def tidy_rows(path: Path, record: dict) -> list[dict]:
    """A record's scores as rows; a score that was not finite is NaN."""
    params, source = record["params"], record["provenance"]
    about = {
        "run": path.name,
        "seconds_per_step": as_float(source["seconds_per_step"]),
        "device": source["device"],
        "drawn_on": drawn_on(record),
        "git_commit": source["git_commit"],
        "git_dirty": source["git_dirty"],
        "path": str(path),
    }
    rows = []
    for split in SPLITS:
        scores = record["results"][split]
        for place, seed in enumerate(parse_seeds(params["seeds"])):
            measured = {name: as_float(scores[name][place]) for name in ("mse", "mse_se", "residual")}
            where = {"seed": seed, "split": split, "offset": scores["offset"], "problems": scores["problems"]}
            rows.append(settings_of(params) | where | measured | about)
    return rows


def drawn_on(record: dict) -> str:
    """What a run's random numbers come from: any CPU gives the same ones, each kind of GPU its own."""
    origin = record["provenance"]
    return str(origin["machine"].get("gpu") or origin["device"].partition(":")[0])


def as_float(value) -> float:
    return math.nan if value is None else float(value)
