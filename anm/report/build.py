"""Build the page from a folder of executed notebooks."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from anm.analysis.folder import ANALYSIS
from anm.report.page import to_html
from anm.study.plan import STRATEGIES
from anm.utils.locations import FILES

NOTEBOOK, COMPARISON_NOTEBOOK = (FILES / "notebooks" / f"{name}.ipynb" for name in ("analysis", "comparison"))
TITLE, COMPARISON_TITLE = "Do mined negatives help?", "Do mined negatives help at equal compute?"
PARAMETER_TAGS = {"parameters", "injected-parameters"}


def build_report(
    folder: str | Path,
    output: str | Path | None = None,
    notebook: str | Path = NOTEBOOK,
    plan: Sequence[str] = STRATEGIES,
) -> Path:
    """Write the report of the executed notebooks in `folder`; its path (default: summary.html there).

    plan: the strategies that the study asks for. The executed analysis notebook is saved next to the page as
    <name>.analysis.ipynb. A file is replaced only when its new version is complete. A notebook that cannot be read is
    named in the page. Raises `RecordError` if there is no such folder.
    """
    return _build(folder, output, Path(notebook), TITLE, {}, plan=list(plan))


def build_comparison_report(
    folder: str | Path,
    output: str | Path | None = None,
    appendix: str | Path | None = None,
    second: str | Path | None = None,
    part: str | Path | None = None,
) -> Path:
    """Write the report of a comparison at equal compute, as `build_report` does.

    appendix: the folder of an earlier study, which the page shows last. second: the folder of a comparison that was
    declared later, which it shows with its answer and a table. part: a folder of runs at a part of the full scale.
    """
    none = Path(folder) / "no-such-folder"
    given = {"appendix": appendix, "second": second, "part": part}
    others = {name: Path(folder or none) for name, folder in given.items()}
    return _build(folder, output, COMPARISON_NOTEBOOK, COMPARISON_TITLE, others)


def _build(folder, output, notebook: Path, title: str, others: Mapping[str, Path], **parameters) -> Path:
    """Execute the notebook and write its page. others: further folders that the notebook reads."""
    import nbformat

    from anm.records.collect import RecordError

    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise RecordError("no such folder", folder)
    output = Path(output).resolve() if output else folder / "summary.html"
    output.parent.mkdir(parents=True, exist_ok=True)
    executed = output.with_name(f"{output.stem}{ANALYSIS}.ipynb")
    parameters |= {name: os.path.relpath(path, output.parent) for name, path in {"runs": folder, **others}.items()}
    _execute(notebook, executed, **parameters)
    part = output.with_name(output.name + ".part")
    part.write_text(to_html(without_empty_sections(nbformat.read(executed, as_version=4)), title), encoding="utf-8")
    os.replace(part, output)
    return output


def without_empty_sections(notebook):
    """The notebook without its empty optional sections, whose cells share a tag."""
    tags = {tag for cell in notebook.cells for tag in cell.metadata.get("tags", ())}
    for tag in tags - PARAMETER_TAGS:
        section = [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]
        outputs = [output for cell in section for output in cell.get("outputs", ())]
        if not any(output.get("data", {}).get("text/html") or "data" not in output for output in outputs):
            notebook.cells = [cell for cell in notebook.cells if cell not in section]
    return notebook


def _execute(notebook: Path, executed: Path, **parameters):
    """Run the notebook in the output's folder, so that its links are relative to the page."""
    import papermill

    part = executed.with_suffix(".part.ipynb")
    how = {"cwd": executed.parent, "kernel_name": "python3", "progress_bar": False}
    papermill.execute_notebook(notebook, part, parameters=parameters, **how)
    os.replace(part, executed)
