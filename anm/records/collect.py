"""Collect the scores of many runs in one table."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from anm.params import parse_seeds
from anm.records.read import read_finished, settings_of
from anm.records.schema import SPLITS, RecordError
from anm.utils.optional import optional_import

if TYPE_CHECKING:
    import pandas as pd

# The first columns of a collection. The other settings of the runs follow.
COLUMNS = (
    "run strategy energy task n train_steps seed split offset problems mse mse_se residual "
    "seconds_per_step device drawn_on git_commit git_dirty path"
).split()

ANALYSIS = ".analysis"  # in the name of a report's own executed notebook, which is no run


class RejectedRun(NamedTuple):
    """A notebook that a collection leaves out, and the reason."""

    path: Path
    reason: str


def collect_runs(folder: str | Path) -> tuple["pd.DataFrame", list[RejectedRun]]:
    """The scores of all executed notebooks in a folder, one row per (run, seed, split), and the refused notebooks.

    Columns: `COLUMNS`, then the other settings of the runs. run: the name of the file. drawn_on: the source of the
    random numbers, which is "cpu" or a kind of GPU. mse, mse_se, residual: NaN where a score was not finite.
    Two runs with the same settings and a common seed are both refused, because either could be the valid one.
    Raises `RecordError` if there is no such folder. Needs pandas, which the extra `study` installs.
    """
    pd = optional_import("pandas", "study")
    records, refused = read_records(folder)
    rows = [row for path, record in records.items() for row in tidy_rows(path, record)]
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=COLUMNS)
    return frame[COLUMNS + [name for name in frame if name not in COLUMNS]], refused


def read_records(folder: str | Path) -> tuple[dict[Path, dict], list[RejectedRun]]:
    """The records of all executed notebooks in a folder, and the refused notebooks.

    Raises `RecordError` if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RecordError("no such folder", folder)
    records, refused = {}, []
    for path in sorted(path for path in folder.glob("*.ipynb") if ANALYSIS not in path.suffixes):
        try:
            records[path] = read_finished(path)
        except RecordError as error:
            refused.append(RejectedRun(path, error.reason))
    for path, reason in repeated_claims(records).items():
        del records[path]
        refused.append(RejectedRun(path, reason))
    return records, sorted(refused)


def repeated_claims(records: dict[Path, dict]) -> dict[Path, str]:
    """The runs that share settings and a seed with another run: path -> the reason to refuse it."""
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


def tidy_rows(path: Path, record: dict) -> list[dict]:
    """The scores of a record, one row per (seed, split)."""
    params, source = record["params"], record["provenance"]
    run_columns = {
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
            measured = {name: as_float(scores[name][place]) for name in ("mse", "mse_se")}
            measured["residual"] = as_float(scores["residual"] and scores["residual"][place])
            where = {"seed": seed, "split": split, "offset": scores["offset"], "problems": scores["problems"]}
            rows.append(settings_of(params) | where | measured | run_columns)
    return rows


def drawn_on(record: dict) -> str:
    """The source of a run's random numbers: all CPUs draw the same ones, each kind of GPU its own."""
    origin = record["provenance"]
    return str(origin["machine"].get("gpu") or origin["device"].partition(":")[0])


def as_float(value) -> float:
    """The number, or NaN for None."""
    return math.nan if value is None else float(value)
