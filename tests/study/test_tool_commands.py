"""The commands that plan no study. (Exports: tests/exports; the files of a wheel: test_wheel.py.)"""

import pytest

from anm.study import cli


def test_the_benchmark_gets_its_own_options(monkeypatch):
    import anm.benchmark.__main__ as benchmark

    given = []
    monkeypatch.setattr(benchmark, "main", lambda arguments: given.append(arguments) or 7)
    assert cli.main(["benchmark", "--n", "4", "--help"]) == 7
    assert given == [["--n", "4", "--help"]]


def test_a_clone_has_the_files_already(capsys):
    assert cli.main(["files"]) == 2
    assert "its files are there" in capsys.readouterr().err


@pytest.mark.parametrize("name, shown", [("anm", "usage: anm "), ("pytest", "usage: python -m anm.study ")])
def test_help_has_the_name_of_the_command_and_every_command(monkeypatch, capsys, name, shown):
    monkeypatch.setattr("sys.argv", [f"/usr/bin/{name}"])
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert text.startswith(shown)
    assert all(command in text for command in "run report preflight floors benchmark export files".split())
