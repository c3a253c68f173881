"""Turn the record of a run that was trained without a notebook into an executed notebook, which `read_run` reads.

`python -m anm.records.to_notebook RECORD.json OUT.ipynb`, or with two folders for all records of the first one.
"""

import argparse
import json
import sys
from pathlib import Path

from anm.records.read import MIME
from anm.records.schema import RecordError, check_record


def notebook_of(record: dict) -> dict:
    """A notebook of format 4 whose only output is the record. Raises `RecordError` unless it is of schema 1."""
    check_record(record)
    params, source = record["params"], record["provenance"]
    machine = source["machine"]["gpu"] or source["machine"]["cpu"]
    story = (
        f"# {params['strategy']}, {params['energy']}, n = {params['n']}, seeds {params['seeds']}\n\n"
        f"This run was trained and scored without a notebook, on {machine}, from {source['started']} on, with the code "
        f"of commit {source['git_commit']}. Its record is the output of the last cell. No cell was executed here."
    )
    summary = f"anm run record: {params['strategy']}, {params['energy']}, n = {params['n']}, seeds {params['seeds']}"
    output = {"output_type": "display_data", "metadata": {}, "data": {MIME: record, "text/plain": [summary]}}
    values = "\n".join(f"{name} = {value!r}" for name, value in params.items())
    cells = [
        {"cell_type": "markdown", "id": "story", "metadata": {}, "source": story},
        code_cell("parameters", values, [], {"tags": ["parameters"]}),
        code_cell("record", "anm.emit_record(anm.run_record(solver, evaluation, started))", [output], {}),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}


def code_cell(name: str, source: str, outputs: list[dict], metadata: dict) -> dict:
    """A code cell with these outputs."""
    cell = {"cell_type": "code", "id": name, "metadata": metadata, "execution_count": None}
    return cell | {"source": source, "outputs": outputs}


def convert(record: Path, notebook: Path) -> None:
    """Write the notebook of a record. Raises `RecordError`, naming the file, where it cannot."""
    if notebook.exists():
        raise RecordError("exists already; move it away, or give another name", notebook)
    try:
        content = notebook_of(json.loads(record.read_text(encoding="utf-8")))
    except RecordError as error:
        raise RecordError(error.reason, record) from None
    except (OSError, ValueError) as error:
        raise RecordError(f"cannot be read as JSON ({error})", record) from None
    notebook.parent.mkdir(parents=True, exist_ok=True)
    notebook.write_text(json.dumps(content, indent=1), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Convert one record or all of a folder; exit code 1 if one cannot be converted."""
    parser = argparse.ArgumentParser(prog="python -m anm.records.to_notebook", description=__doc__.splitlines()[0])
    parser.add_argument("record", type=Path, help="a record as JSON, or a folder of them")
    parser.add_argument("notebook", type=Path, help="the notebook to write, or a folder for them")
    asked = parser.parse_args(arguments)
    pairs = [(asked.record, asked.notebook)]
    if asked.record.is_dir():
        pairs = [(path, asked.notebook / f"{path.stem}.ipynb") for path in sorted(asked.record.glob("*.json"))]
    failed = 0
    for record, notebook in pairs:
        try:
            convert(record, notebook)
            print(notebook)
        except RecordError as error:
            print(f"to_notebook: {error}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
