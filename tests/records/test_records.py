"""Records in executed notebooks: written by a real kernel, read, collected, refused."""

import json
import math
from datetime import UTC, datetime
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from records import RECORD_TYPE, make_record, write_notebook

from anm.evaluation.scores import Evaluation
from anm.params import RunParams
from anm.records.collect import COLUMNS, collect_runs
from anm.records.problem_errors import decode
from anm.records.read import read_run
from anm.records.schema import RecordError, check_record, clean
from anm.records.write import emit_record, run_record


def without_last_cell(path):
    """Removes the outputs of the last cell, as if the kernel was killed before it."""
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["outputs"] = []
    path.write_text(json.dumps(notebook))
    return path


def test_a_record_goes_through_a_real_kernel_unchanged(tmp_path):
    papermill = pytest.importorskip("papermill")
    record = make_record("adversarial", seeds=(4, 7))
    (tmp_path / "record.json").write_text(json.dumps(record))
    source = (
        "import json, numpy as np, anm\n"
        f"record = json.load(open({str(tmp_path / 'record.json')!r}))\n"
        "record['results']['same']['mse'] = np.array([0.25, np.nan])\n"
        "anm.emit_record(record)"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbformat.write(notebook, tmp_path / "in.ipynb")
    papermill.execute_notebook(tmp_path / "in.ipynb", tmp_path / "out.ipynb", progress_bar=False, kernel_name="python3")
    record["results"]["same"]["mse"] = [0.25, None]
    assert read_run(tmp_path / "out.ipynb") == record


def test_run_record_puts_each_part_under_its_entry():
    parts = make_record("random", seeds=(1, 5))
    timing = {"step_seconds": 10.0, "windows": [0.02, 0.02, 9.0], "resumed": 3}
    solver = SimpleNamespace(
        device="cpu",
        step=500,
        history=parts["curves"],
        timing=timing,
        params=RunParams(strategy="random", seeds="1,5", n=4, train_steps=500),
    )
    errors = np.array([[0.0, 1.0, 3.0], [0.5, 2.0, np.nan]])
    scores = {"mse": [1.0, None], "scaled": [0.9, None], "scale": [1.1, 0.5]}
    point = {"share": 1, "steps": 500, "flops": 10**12, "problems": 3, "same": scores | {"errors": errors}}
    results = parts["results"] | {"budgets": [point]}
    record = run_record(solver, Evaluation(results, parts["landscape"], 2.5), datetime.now(UTC))
    check_record(clean(record))
    (written,) = record["results"].pop("budgets")
    np.testing.assert_allclose(decode(written["same"].pop("errors"), 2), errors, rtol=7e-4)
    assert written == point | {"same": scores}
    assert [record[name] for name in ("results", "curves", "landscape")] == [
        parts[n] for n in ("results", "curves", "landscape")
    ]
    compute = record["compute"]
    assert compute["steps"] == 500 and compute["step_flops"] > compute["baseline_flops"] > 0
    assert record["params"] == solver.params.resolved()
    told = record["provenance"]
    assert told["seconds_per_step"] == 0.02 and told["train_seconds"] == 10.0 and told["evaluate_seconds"] == 2.5
    assert told["resumed"] == 3 and told["compiled"] is False


def test_emit_shows_the_record_and_a_line_of_text(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append((bundle, raw)))
    emit_record(make_record("random", n=6))
    ((bundle, raw),) = shown
    assert raw and bundle[RECORD_TYPE] == make_record("random", n=6)
    assert bundle["text/plain"] == "anm run record: random, mlp, n = 6, seeds 0,1,2"


def test_emit_refuses_an_invalid_record(monkeypatch):
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: pytest.fail("was shown"))
    record = make_record()
    del record["results"]["same"]["mse"]
    with pytest.raises(RecordError, match="results.same.mse is missing"):
        emit_record(record)


def test_read_returns_the_record_with_keys_it_does_not_know(tmp_path):
    record = make_record() | {"later": [1, 2]}
    assert read_run(write_notebook(tmp_path / "a.ipynb", record)) == record
    assert read_run(str(tmp_path / "a.ipynb")) == record


@pytest.mark.parametrize(
    "content, said",
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "not a notebook: not JSON"),
        (b"\xff\xfe\x00", "not a notebook: not JSON"),
        (b'{"cells": [', "not a notebook: not JSON"),
        (b"[" * 100_000, "not a notebook: not JSON"),
        (b"{}", "not a notebook of format 4"),
        (b"[1]", "not a notebook of format 4"),
        (b'{"cells": 3}', "not a notebook of format 4"),
        (b'{"cells": [{"cell_type": "code"}]}', "not a notebook of format 4"),
        (b'{"cells": [{"cell_type": "code", "outputs": ["text"]}]}', "not a notebook of format 4"),
        (b'{"cells": []}', "no record"),
    ],
)
def test_a_file_that_is_not_an_executed_notebook_is_refused_by_name(tmp_path, content, said):
    path = tmp_path / "run.ipynb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordError) as caught:
        read_run(path)
    assert str(caught.value).startswith(f"{path}: ") and said in caught.value.reason


def test_a_folder_is_not_a_notebook(tmp_path):
    with pytest.raises(RecordError, match="cannot be read"):
        read_run(tmp_path)


def test_a_killed_kernel_leaves_no_record(tmp_path):
    path = without_last_cell(write_notebook(tmp_path / "a.ipynb"))
    assert json.loads(path.read_text())["metadata"]["papermill"]["exception"] is None
    with pytest.raises(RecordError, match="no record: the run was stopped before its last cell"):
        read_run(path)


def test_two_records_are_refused(tmp_path):
    with pytest.raises(RecordError, match="2 records where one belongs"):
        read_run(write_notebook(tmp_path / "a.ipynb", records=2))


@pytest.mark.parametrize("records", [0, 1])
def test_an_error_is_refused_with_its_name_and_message(tmp_path, records):
    error = ("NotFiniteError", "\x1b[31mstep 17, random:\ncontrast is nan\x1b[0m")
    with pytest.raises(RecordError) as caught:
        read_run(write_notebook(tmp_path / "a.ipynb", error=error, records=records))
    assert caught.value.reason == "failed: NotFiniteError: step 17, random: contrast is nan"


def test_a_bare_nan_is_refused_in_the_record_and_allowed_elsewhere(tmp_path):
    record = make_record()
    record["results"]["same"]["mse"][2] = math.nan
    with pytest.raises(RecordError, match=r"results.same.mse\[2\] = nan"):
        read_run(write_notebook(tmp_path / "a.ipynb", record))
    path = write_notebook(tmp_path / "b.ipynb")
    path.write_text(path.read_text().replace('"step 1\\n"', "NaN"))
    assert "NaN" in path.read_text() and read_run(path) == make_record()


def test_a_record_is_data_and_never_markup(tmp_path):
    record = make_record(strategy="<script>alert(1)</script>")
    record["provenance"]["machine"]["host"] = "$(rm -rf /)"
    write_notebook(tmp_path / "a.ipynb", record)
    assert read_run(tmp_path / "a.ipynb") == record
    assert set(collect_runs(tmp_path)[0]["strategy"]) == {"<script>alert(1)</script>"}


def test_collect_gives_one_row_per_run_seed_and_split(tmp_path):
    write_notebook(tmp_path / "none.ipynb", make_record("none", seeds=(0, 5), mse=[0.01, 0.02], mse_harder=[0.3, 0.4]))
    write_notebook(tmp_path / "random.ipynb", make_record("random", seeds=(0,)))
    frame, refused = collect_runs(tmp_path)
    assert refused == [] and list(frame.columns[: len(COLUMNS)]) == COLUMNS
    assert len(frame) == 2 * 2 + 2 and not frame.duplicated(["run", "seed", "split"]).any()
    (row,) = frame[(frame.strategy == "none") & (frame.seed == 5) & (frame.split == "harder")].to_dict("records")
    assert row["mse"] == 0.4 and row["residual"] == pytest.approx(12) and row["offset"] == 0.1
    assert row["run"] == "none.ipynb" and row["path"] == str(tmp_path / "none.ipynb")
    assert row["energy"] == "mlp" and row["n"] == 4 and row["train_steps"] == 500 and row["mining_noise_scale"] == 3.0
    assert row["seconds_per_step"] == 0.02 and row["device"] == "cpu" and row["git_commit"].startswith("0123")


def test_collect_makes_null_scores_nan(tmp_path):
    record = make_record()
    record["results"]["same"]["mse"][1] = None
    write_notebook(tmp_path / "a.ipynb", record)
    frame, _ = collect_runs(tmp_path)
    assert frame["mse"].isna().sum() == 1 and frame["mse"].dtype == float


def test_collect_refuses_bad_notebooks_with_reasons_and_keeps_the_others(tmp_path):
    write_notebook(tmp_path / "good.ipynb")
    write_notebook(tmp_path / "killed.ipynb", records=0)
    write_notebook(tmp_path / "failed.ipynb", error=("ValueError", "boom"))
    write_notebook(tmp_path / "twice.ipynb", records=2)
    write_notebook(tmp_path / "running.part.ipynb", make_record("random"), records=0)
    write_notebook(tmp_path / "stopped.part.ipynb", make_record("random"), error=("ValueError", "boom"))
    write_notebook(tmp_path / "unnamed.part.ipynb", make_record("random"))
    (tmp_path / "broken.ipynb").write_text("{")
    (tmp_path / "notes.txt").write_text("not looked at")
    write_notebook(tmp_path / ".ipynb_checkpoints" / "good-checkpoint.ipynb")
    frame, refused = collect_runs(tmp_path)
    assert set(frame["run"]) == {"good.ipynb"}
    reasons = {path.name: reason for path, reason in refused}
    assert set(reasons) == {
        "killed.ipynb",
        "failed.ipynb",
        "twice.ipynb",
        "running.part.ipynb",
        "stopped.part.ipynb",
        "unnamed.part.ipynb",
        "broken.ipynb",
    }
    assert reasons["failed.ipynb"] == reasons["stopped.part.ipynb"] == "failed: ValueError: boom"
    assert reasons["running.part.ipynb"].startswith("unfinished: no record")
    assert reasons["unnamed.part.ipynb"].startswith("unfinished: it holds a record")
    assert reasons["killed.ipynb"].startswith("no record")


def test_collect_refuses_both_of_two_runs_that_claim_one_seed(tmp_path):
    write_notebook(tmp_path / "a.ipynb", make_record("none", seeds=(0, 1)))
    write_notebook(tmp_path / "b.ipynb", make_record("none", seeds=(1, 2), device="cuda", checkpoint_dir="elsewhere"))
    write_notebook(tmp_path / "c.ipynb", make_record("none", seeds=(3,)))
    write_notebook(tmp_path / "d.ipynb", make_record("random", seeds=(0, 1)))
    write_notebook(tmp_path / "e.ipynb", make_record("none", seeds=(0, 1), mining_opt_steps=5))
    frame, refused = collect_runs(tmp_path)
    assert set(frame["run"]) == {"c.ipynb", "d.ipynb", "e.ipynb"}
    assert {path.name: reason for path, reason in refused} == {
        "a.ipynb": "claims seed 1 under the same settings as b.ipynb",
        "b.ipynb": "claims seed 1 under the same settings as a.ipynb",
    }


def test_an_empty_folder_gives_the_columns_and_a_missing_folder_an_error(tmp_path):
    frame, refused = collect_runs(tmp_path)
    assert list(frame.columns) == COLUMNS and frame.empty and refused == []
    with pytest.raises(RecordError, match="no such folder"):
        collect_runs(tmp_path / "absent")
