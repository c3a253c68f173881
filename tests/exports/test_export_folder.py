"""`anm export`: complete runs are exported, the others are named."""

import pytest
from records import write_notebook

from anm.exports import export_folder
from anm.params import ParamError
from anm.records.schema import RecordError
from anm.study import cli


def test_a_broken_notebook_is_named_and_the_rest_exported(study, capsys):
    assert cli.main(["export", "ro-crate", str(study)]) == 3
    printed = capsys.readouterr().out
    assert "random-mlp.ipynb: failed: TrainingError: step 7: loss of seed 1 is not finite" in printed
    assert "2 runs exported" in printed and "summary.analysis" not in printed
    assert (study / "ro-crate" / "none-mlp.ipynb").read_bytes() == (study / "none-mlp.ipynb").read_bytes()


def test_a_folder_without_a_complete_run_is_refused(tmp_path, study, capsys):
    with pytest.raises(RecordError, match="no such folder"):
        export_folder("ro-crate", tmp_path / "absent", tmp_path / "out")
    write_notebook(tmp_path / "empty" / "one.ipynb", records=0)
    with pytest.raises(ParamError, match="holds no complete run; one.ipynb: no record"):
        export_folder("ro-crate", tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert cli.main(["export", "mlflow", str(tmp_path / "absent")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_missing_package_is_named_with_its_extra(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    assert cli.main(["export", "mlflow", str(study), "--output", str(tmp_path / "out")]) == 2
    assert "pip install 'anm[mlflow]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
