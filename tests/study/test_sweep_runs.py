"""A sweep from its file to its report, as an array on a real Slurm."""

import re

import pytest
from bs4 import BeautifulSoup
from conftest import missing
from project_copy import copy_project, environment
from slurm_node import HANG, SlurmNode, why_not
from studies import table_rows

from anm.records.read import read_run
from anm.study.cli import main

pytestmark = pytest.mark.timeout(2 * HANG)
SWEEP = """
strategies: [conditional_nce]
grid: {mining_noise_scale: [1, 3]}
settings: {n: 4, noise_levels: 3, train_steps: 6, batch_size: 8, seeds: "0,1", test_problems: 16, device: cpu}
"""
FILE = "params/sweeps/tiny.yaml"
NAMES = ["conditional_nce-mlp-mining_noise_scale1.0", "conditional_nce-mlp-mining_noise_scale3.0", "none-mlp"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = copy_project(tmp_path_factory.mktemp("project"), figures=False)
    (folder / FILE).write_text(SWEEP)
    return folder


@pytest.fixture
def study(project, capsys):
    """Calls `python -m anm.study` for the sweep, in this process: exit code and all that was printed."""

    def call(command, *arguments, file=FILE):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", "")  # which a study extends
            code = main([command, "--grid", str(project / file), "--reports", str(project / "reports"), *arguments])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call


def summary_table(page):
    """The rows of the table that compares the cells of the sweep with `none`, its head first."""
    captions = BeautifulSoup(page, "html.parser").find_all("caption")
    (caption,) = [each for each in captions if each.get_text().startswith("Differences from none in the sweep")]
    return table_rows(caption.parent)


def test_a_sweep_s_array_its_report_and_nothing_twice(project, study, tmp_path):
    if reason := why_not():
        missing(reason)
    code, said = study("preflight")
    assert code == 0 and "as a Slurm array: --array=0-2" in said, said
    with SlurmNode(tmp_path / "node") as node:
        node.env = environment() | {"SLURM_CONF": node.env["SLURM_CONF"]}
        options = ("--gres=none", "--cpus-per-task=1", "--array=0-2", "slurm/papermill.sbatch", "--grid", FILE)
        job = node.sbatch(*options, cwd=project)
        states = node.finish(job)
        log = (project / "slurm" / "logs" / f"anm-{job}_0.log").read_text()
        assert set(states.values()) == {"COMPLETED 0:0"}, log
        report = int(re.search(r"job (\d+) builds the report", log)[1])
        assert set(node.finish(report).values()) == {"COMPLETED 0:0"}
    folder = project / "reports" / "tiny"
    assert [read_run(folder / f"{name}.ipynb")["params"]["mining_noise_scale"] for name in NAMES] == [1.0, 3.0, 3.0]
    page = (folder / "summary.html").read_text()
    assert 'id="the-sweep"' in page and page.count("<title>conditional_nce-mlp-mining_noise_scale") == 4
    columns, *rows = summary_table(page)
    assert [row[columns.index("comparisons")] for row in rows] == ["2", "2"]  # corrected together; same and harder
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.ipynb")}
    code, said = study("run")
    assert code == 0 and said.count("finished already") == 3
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.ipynb")} == before


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--strategy", "none"), "--strategy: not allowed with --grid"),
        (("-p", "n", "5", "--chunks", "2"), "-p, --chunks: not allowed with --grid"),
        (("--cell", "0", "--of", "7"), "array of 7 task(s): this study has 3 runs"),
    ],
)
def test_options_that_a_sweep_does_not_use_are_refused(study, arguments, said):
    code, printed = study("run", *arguments)
    assert code == 2 and said in printed


def test_a_sweep_s_file_that_is_not_there(study):
    code, printed = study("run", file="params/sweeps/absent.yaml")
    assert code == 2 and "cannot be read" in printed
