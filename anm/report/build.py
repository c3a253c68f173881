"""From a folder of executed notebooks to the page."""

import os
from collections.abc import Sequence
from pathlib import Path

from anm.page import to_html
from anm.report.findings import ANALYSIS, PLAN

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "analysis.ipynb"
TITLE = "Does adversarial negative mining help?"


def build_report(
    folder: str | Path, output: str | Path | None = None, notebook: str | Path = NOTEBOOK, plan: Sequence[str] = PLAN
) -> Path:
    """Writes the report of the executed notebooks in `folder` and returns its path (default: summary.html there).

    `plan`: the strategies that should be there, of which the report speaks. The executed analysis notebook is kept beside it, as <name>.analysis.ipynb. Both are written whole or not
    at all. Raises `RecordError` if there is no such folder; a notebook that cannot be read is named in the page.
    """
    import nbformat

    from anm.record import RecordError

    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise RecordError("no such folder", folder)
    output = Path(output).resolve() if output else folder / "summary.html"
    output.parent.mkdir(parents=True, exist_ok=True)
    executed = output.with_name(f"{output.stem}{ANALYSIS}.ipynb")
    _execute(Path(notebook), executed, runs=os.path.relpath(folder, output.parent), plan=list(plan))
    page = to_html(shown(nbformat.read(executed, as_version=4)), TITLE)
    _replace(output, page)
    return output


def shown(notebook):
    """The notebook without its optional sections, those whose cells share a tag, where such a section shows nothing."""
    for tag in {tag for cell in notebook.cells for tag in cell.metadata.get("tags", ())} - {
        "parameters",
        "injected-parameters",
    }:
        section = [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]
        if not any(
            output.get("data", {}).get("text/html") or "data" not in output
            for cell in section
            for output in cell.get("outputs", ())
        ):
            notebook.cells = [cell for cell in notebook.cells if cell not in section]
    return notebook


def _execute(notebook: Path, executed: Path, **parameters):
    """Runs the notebook in the output's folder, so that its links and its parameter hold where it lies."""
    import papermill

    part = executed.with_suffix(".part.ipynb")
    papermill.execute_notebook(
        notebook, part, parameters=parameters, cwd=executed.parent, kernel_name="python3", progress_bar=False
    )
    os.replace(part, executed)


def _replace(path: Path, text: str):
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
