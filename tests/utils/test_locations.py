"""Where results go, and which file of parameters is read: the user's own comes first. (A wheel: test_wheel.py.)"""

import pytest

from anm.params import ParamError
from anm.study.plan import plan_study
from anm.utils.locations import PROJECT, params_file, params_names, shipped_energies, work_folder


@pytest.mark.parametrize("inside", ["", "notebooks"])
def test_a_clone_is_worked_in_from_inside_of_it(monkeypatch, inside):
    monkeypatch.chdir(PROJECT / inside)
    assert work_folder() == PROJECT


def test_results_go_to_the_current_folder_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert work_folder() == tmp_path.resolve()
    assert {run.path.parent for run in plan_study("quick")} == {tmp_path.resolve() / "reports" / "quick"}


def test_the_users_own_parameters_come_before_those_of_anm(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert params_file("quick") == PROJECT / "params" / "quick.yaml" and params_file("mine") is None
    (tmp_path / "params").mkdir()
    for name in ("quick", "mine"):
        (tmp_path / "params" / f"{name}.yaml").write_text("n: 3\n")
    assert params_file("quick") == tmp_path / "params" / "quick.yaml"
    assert [run.params.n for run in plan_study("mine")] == [3, 3, 3]
    assert {"mine", "quick", "full", "none"} <= set(params_names())
    with pytest.raises(ParamError, match="Did you mean 'mine'"):
        plan_study("mines")


def test_the_shipped_energies_are_there():
    assert {"none-bilinear", "none-residual"} <= set(shipped_energies())
