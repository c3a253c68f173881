"""Read a run's result from its executed notebook."""

import json
from pathlib import Path

from anm.params import NOT_IN_RUN_ID, RunParams
from anm.records.schema import RecordError, check_record

MIME = "application/vnd.anm.run+json"
UNFINISHED = ".part.ipynb"  # ends the name of a notebook that is still executed
FAILED = "failed: "  # starts the reason where the notebook holds an error


def read_run(path: str | Path) -> dict:
    """The record of an executed notebook.

    A parameter that the record lacks gets its default: the run used that value before the parameter existed.
    Raises `RecordError`, naming the file and the reason, unless the file is a notebook without an error output
    and with exactly one record of schema 1. The notebook's metadata are not trusted.
    """
    try:
        record = only_record(notebook_outputs(path))
    except RecordError as error:
        raise RecordError(error.reason, path) from None
    return record | {"params": RunParams().resolved() | record["params"]}


def only_record(outputs: list[dict]) -> dict:
    """The only record among a notebook's outputs. Raises `RecordError` on an error output or another number."""
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
    """The outputs of all code cells of a notebook, in order. Raises `RecordError` unless its format is 4."""
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
        raise RecordError("not a notebook of format 4: an output is not a mapping")
    return outputs


def read_finished(path: Path) -> dict:
    """The record as `read_run` gives it. Also raises `RecordError` while the notebook is still executed."""
    if not path.name.endswith(UNFINISHED):
        return read_run(path)
    try:
        read_run(path)
    except RecordError as error:
        stage = "" if error.reason.startswith(FAILED) else "unfinished: "
        raise RecordError(stage + error.reason, path) from None
    raise RecordError("unfinished: it holds a record, but the run has not closed it", path)


def settings_of(params: dict, ignored: frozenset[str] | set[str] = NOT_IN_RUN_ID) -> dict:
    """The parameters with plain values, without the seeds and the `ignored`: two runs of one kind agree in these."""
    kept = {name: value for name, value in params.items() if isinstance(value, (str, int, float, type(None)))}
    return {name: value for name, value in kept.items() if name != "seeds" and name not in ignored}
