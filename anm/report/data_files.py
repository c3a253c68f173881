"""The data of the page as files in it: tidy tables as CSV, records as JSON."""

import json

import pandas as pd

from anm.analysis.results import StudyResults
from anm.report.page import Html, download, html

IMAGES = ("forming", "worst")  # parts of a record's results that the page draws as images
DATA_LIMIT = 2_000_000  # characters of records.json; a larger one goes without the training curves


def downloads(results: StudyResults) -> Html:
    """Links that save the data behind every number."""
    runs = [str(name) for name in results.scores["run"]]
    scores = results.scores.assign(path=runs).rename(columns={"path": "notebook"})
    files = [
        download("scores.csv", to_csv(scores), "text/csv"),
        download("comparisons.csv", to_csv(results.comparison), "text/csv"),
        download("references.csv", to_csv(results.references), "text/csv"),
        download("records.json", to_json(results.records), "application/json"),
    ]
    return html('<p class="downloads">{}</p>', Html("\n").join(files))


def to_csv(frame: pd.DataFrame) -> str:
    """CSV. Text that a spreadsheet would read as a formula starts with a quote."""

    def safe(value):
        return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value

    return frame.astype(object).map(safe).to_csv(index=False, lineterminator="\n")


def to_json(records: dict[str, dict]) -> str:
    """The records as JSON without images, and without training curves above `DATA_LIMIT`; `left_out` says so."""
    kept = {}
    for run, record in records.items():
        kept[run] = record | {"results": {k: part for k, part in record["results"].items() if k not in IMAGES}}
    text = _with_note(kept, IMAGES)
    if len(text) <= DATA_LIMIT:
        return text
    for run, record in kept.items():
        kept[run] = {name: part for name, part in record.items() if name != "curves"}
    return _with_note(kept, ("curves", *IMAGES))


def _with_note(records: dict[str, dict], absent: tuple[str, ...]) -> str:
    note = {"left_out": f"{', '.join(absent)}: too large for a page; the executed notebooks have them"}
    return json.dumps(note | records, separators=(",", ":"))
