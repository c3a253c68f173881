"""A folder of executed notebooks as results."""

import pytest
from records import make_record, write_notebook
from studies import write_study

from anm.analysis.folder import gather
from anm.records.schema import RecordError
from anm.report.answer import verdict


def test_the_notebook_of_the_report_is_not_a_run(tmp_path):
    write_study(tmp_path, change=0.05)
    for name in ("summary.analysis.ipynb", "summary.analysis.part.ipynb"):
        write_notebook(tmp_path / name, records=0)
    assert gather(tmp_path).refused == ()


def test_runs_of_one_strategy_that_differ_have_different_labels(tmp_path):
    for steps in (2, 8):
        write_notebook(tmp_path / f"{steps}.ipynb", make_record("adversarial", mining_opt_steps=steps))
    write_notebook(tmp_path / "none.ipynb", make_record("none"))
    names = ["adversarial (mining_opt_steps 2)", "adversarial (mining_opt_steps 8)"]
    assert set(gather(tmp_path).scores["strategy"]) == {"none", *names}


def test_the_seeds_of_two_runs_of_a_strategy_are_joined(tmp_path):
    write_study(tmp_path, change=0.05)
    (tmp_path / "none.ipynb").unlink()
    for chunk in (range(5), range(5, 10)):
        write_notebook(tmp_path / f"none-{chunk[0]}.ipynb", make_record("none", seeds=chunk))
    found = gather(tmp_path)
    assert int(found.comparison.query("split == 'same'")["n_seeds"].iloc[0]) == 10 and "No claim" not in verdict(found)


def test_one_name_with_two_codes_is_two_strategies(tmp_path):
    for place, code in enumerate(("a" * 64, "b" * 64)):
        record = make_record("mine:greedy", seeds=range(3 * place, 3 * place + 3))
        record["provenance"]["own_code"] = {"mine:greedy": code}
        write_notebook(tmp_path / f"{place}.ipynb", record)
    names = set(gather(tmp_path).scores["strategy"])
    assert names == {"mine:greedy (code of mine:greedy aaaaaaaa)", "mine:greedy (code of mine:greedy bbbbbbbb)"}


def test_a_missing_folder_is_an_error_that_says_what_to_run(tmp_path):
    with pytest.raises(RecordError, match="mine: no such folder.*python -m anm.study run --study mine"):
        gather(tmp_path / "mine")
