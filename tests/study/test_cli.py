"""The commands of `python -m anm.study`, without their runs (those are in test_run.py)."""

import os

import pytest
from records import make_record, write_notebook

from anm.params import ParamError
from anm.study import cli
from anm.study.plan import STRATEGIES, plan_study
from anm.utils.locations import FILES


@pytest.fixture(autouse=True)
def python_path(monkeypatch):
    """Gives PYTHONPATH, which a study extends, its value back."""
    monkeypatch.setenv("PYTHONPATH", "")


BAD = {
    "parameter": (["-p", "stategy", "random"], "there is no such parameter. Did you mean 'strategy'?"),
    "value": (["-p", "learning_rate", "fast"], "learning_rate = 'fast'"),
    "study": (["--study", "absent"], "there is no params/absent.yaml"),
    "file": (["-f", "absent.yaml"], "absent.yaml: cannot be read"),
    "device": (["-p", "device", "cuda:77"], "device = 'cuda:77'"),
    "array": (
        ["--cell", "0", "--of", "2"],
        "this study has 3 runs (none-mlp, random-mlp, adversarial-mlp); submit it with --array=0-2",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_before_any_work(tmp_path, capsys, case):
    arguments, message = BAD[case]
    assert cli.main(["run", "--reports", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.ipynb"))


def test_a_cell_of_the_array_is_one_run():
    runs = plan_study("full", chunks=2)
    assert [cli.select_runs(runs, cell, 6) for cell in range(6)] == [[run] for run in runs]
    assert cli.select_runs(runs, None, None) == runs
    with pytest.raises(ParamError):
        cli.select_runs(runs, 6, 6)


def test_a_preflight_leaves_nothing_behind(tmp_path, capsys):
    assert (
        cli.main(
            [
                "preflight",
                "--study",
                "quick",
                "--reports",
                str(tmp_path / "reports"),
                "-p",
                "checkpoint_dir",
                str(tmp_path / "checkpoints"),
            ]
        )
        == 0
    )
    assert list(tmp_path.iterdir()) == [] and "ready" in capsys.readouterr().out


def test_the_report_of_a_sweep_is_about_its_strategies(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        cli, "build_study_report", lambda folder, page, planned, strategies: asked.append((folder, strategies)) or 0
    )
    (tmp_path / "small.yaml").write_text("grid: {candidates: [2, 4]}\nstrategies: [hardest_of_k]\n")
    assert cli.main(["report", "--grid", str(tmp_path / "small.yaml"), "--reports", str(tmp_path)]) == 0
    assert asked == [(tmp_path / "small", ("none", "hardest_of_k"))]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, capsys):
    (tmp_path / "reports").write_text("no folder")
    assert (
        cli.main(
            ["run", "--grid", str(FILES / "params" / "sweeps" / "mining.yaml"), "--reports", str(tmp_path / "reports")]
        )
        == 2
    )
    assert str(tmp_path / "reports") in capsys.readouterr().err


def test_a_strategy_beside_the_caller_is_found_by_the_kernel_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert cli.main(["preflight", "--study", "no such study"]) == 2
    assert os.environ["PYTHONPATH"] == f"elsewhere{os.pathsep}{tmp_path}"


@pytest.fixture
def built(monkeypatch):
    """Where the report was asked for: (folder, output, strategies)."""
    import anm.report

    calls = []
    monkeypatch.setattr(
        anm.report, "build_report", lambda folder, output, plan: calls.append((folder, output, tuple(plan))) or output
    )
    monkeypatch.setattr(anm.report, "gather", lambda folder, plan: folder)
    monkeypatch.setattr(anm.report, "verdict", lambda findings: "the verdict")
    return calls


@pytest.mark.parametrize(
    "name, output", [("full", "full/summary.html"), ("cpu", "cpu/summary.html"), ("quick", "quick/summary.html")]
)
def test_the_report_goes_to_its_place(tmp_path, capsys, built, name, output):
    (run, *_) = plan_study(name, reports=tmp_path)
    write_notebook(
        run.path,
        make_record(
            "none",
            run.params.seed_list,
            **{k: v for k, v in run.params.resolved().items() if k not in ("strategy", "seeds", "energy")},
        ),
    )
    assert cli.main(["report", "--study", name, "--reports", str(tmp_path)]) == 0
    assert built == [(tmp_path / name, tmp_path / output, STRATEGIES)]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "anm: runs that the report lacks: random-mlp, adversarial-mlp"
    assert printed[1:] == ["the verdict", str(tmp_path / output)]


def test_the_report_goes_where_it_is_told(tmp_path, built, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "--study", "cpu", "--reports", "mine", "--output", "page.html"]) == 0
    assert built == [(tmp_path / "mine" / "cpu", tmp_path / "page.html", STRATEGIES)]


def test_the_pre_flight_lists_the_runs(tmp_path, capsys):
    assert cli.main(["preflight", "--study", "pilot", "--reports", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "3 runs; as a Slurm array: --array=0-2" in printed and printed.endswith("ready\n")
    for strategy in STRATEGIES:
        assert f"{strategy}-mlp, seeds 0-2, 10000 steps" in printed


def test_the_report_of_a_comparison_is_the_front_page_and_prints_the_verdict(tmp_path, capsys, monkeypatch):
    import anm.report

    asked = []

    def build(folder, page, **others):
        asked.append((folder, page, others))
        return page

    monkeypatch.setattr(anm.report, "build_comparison_report", build)
    monkeypatch.setattr(anm.report, "gather_comparison", lambda folder: folder)
    monkeypatch.setattr(anm.report, "comparison_verdict", lambda results: "the verdict")
    monkeypatch.setattr(anm.report, "write_forest", lambda results, path: path)
    regime = "{task: inverse, n: 4, budget_steps: 9}"
    for name, page, others in (
        ("equal-compute", "summary.html", {"appendix": "cpu", "second": "connectivity", "part": "h100"}),
        ("other", "other/summary.html", {"part": "h100"}),
    ):
        file = tmp_path / f"{name}.yaml"
        file.write_text(f"regimes: {{a: {regime}}}\narms: {{none: {{}}, random: {{}}}}\n")
        reports, figure = tmp_path / "reports", tmp_path / "forest.png"
        options = ["--comparison", str(file), "--reports", str(reports), "--figure", str(figure)]
        assert cli.main(["report", *options]) == 0
        assert asked.pop() == (reports / name, reports / page, {role: reports / each for role, each in others.items()})
        printed = capsys.readouterr().out.splitlines()
        assert printed[0] == "anm: runs that the report lacks: a--none, a--random"
        assert printed[1:] == ["the verdict", str(figure), str(reports / page)]
