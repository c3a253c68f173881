"""Records as JSON, turned into executed notebooks."""

import json

import nbformat
import pytest
from records import make_record

from anm.records.collect import collect_runs
from anm.records.read import read_run
from anm.records.to_notebook import main


def written(path, record) -> str:
    path.write_text(json.dumps(record))
    return str(path)


def test_the_notebook_gives_the_record_and_says_that_nothing_was_executed_in_it(tmp_path):
    record = make_record("random", seeds=(3, 4))
    out = tmp_path / "new" / "random.ipynb"
    assert main([written(tmp_path / "random.json", record), str(out)]) == 0
    found = read_run(out)
    assert {name: found[name] for name in record if name != "params"} == {
        name: record[name] for name in record if name != "params"
    }
    assert found["params"].items() >= record["params"].items()
    notebook = nbformat.read(out, as_version=4)
    nbformat.validate(notebook)
    assert "No cell was executed here" in notebook.cells[0].source
    parameters: dict = {}
    exec(notebook.cells[1].source, parameters)
    assert parameters.items() >= record["params"].items()


def test_a_folder_of_records_becomes_a_folder_of_runs(tmp_path, capsys):
    for strategy in ("none", "random"):
        written(tmp_path / f"{strategy}.json", make_record(strategy))
    written(tmp_path / "broken.json", {"schema": 1})
    assert main([str(tmp_path), str(tmp_path / "out")]) == 1
    frame, rejected = collect_runs(tmp_path / "out")
    assert sorted(set(frame["strategy"])) == ["none", "random"] and not rejected
    assert "broken.json: params is missing" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "reason"), [("{", "cannot be read as JSON"), ('{"schema": 7}', "schema is 7")])
def test_what_is_no_record_is_refused_with_the_reason(text, reason, tmp_path, capsys):
    (tmp_path / "bad.json").write_text(text)
    assert main([str(tmp_path / "bad.json"), str(tmp_path / "bad.ipynb")]) == 1
    assert reason in capsys.readouterr().err and not (tmp_path / "bad.ipynb").exists()


def test_a_notebook_is_never_replaced(tmp_path, capsys):
    (tmp_path / "there.ipynb").write_text("mine")
    assert main([written(tmp_path / "a.json", make_record()), str(tmp_path / "there.ipynb")]) == 1
    assert "exists already" in capsys.readouterr().err and (tmp_path / "there.ipynb").read_text() == "mine"
