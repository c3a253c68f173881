"""A sweep from its file to its report: as an array on a real Slurm, and by the command that make calls."""

import re
import subprocess
import sys

import pytest
from conftest import missing
from project_copy import copy_project, environment
from slurm_node import SlurmNode, why_not

from anm.record import read_run

GRID = """
strategies: [conditional_nce]
grid: {mining_noise_scale: [1, 3]}
settings: {n: 4, noise_levels: 3, train_steps: 6, batch_size: 8, seeds: "0,1", test_problems: 16, device: cpu}
"""
FILE = "params/sweeps/tiny.yaml"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = copy_project(tmp_path_factory.mktemp("project"))
    (folder / FILE).write_text(GRID)
    return folder


def study(project, *arguments):
    """Exit code and all that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "anm.study", *arguments],
        cwd=project,
        env=environment(),
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_sweep_s_array_its_report_and_nothing_twice(project, tmp_path):
    if reason := why_not():
        missing(reason)
    code, said = study(project, "preflight", "--grid", FILE)
    assert code == 0 and "as a Slurm array: --array=0-2" in said, said
    with SlurmNode(tmp_path / "node") as node:
        node.env = environment() | {"SLURM_CONF": node.env["SLURM_CONF"]}
        job = node.sbatch(
            "--gres=none", "--cpus-per-task=1", "--array=0-2", "slurm/papermill.sbatch", "--grid", FILE, cwd=project
        )
        states = node.finish(job, 400)
        log = (project / "slurm" / "logs" / f"anm-{job}_0.log").read_text()
        assert set(states.values()) == {"COMPLETED 0:0"}, log
        report = int(re.search(r"job (\d+) builds the report", log)[1])
        assert set(node.finish(report, 300).values()) == {"COMPLETED 0:0"}
    folder = project / "reports" / "tiny"
    names = ["conditional_nce-mlp-mining_noise_scale1.0", "conditional_nce-mlp-mining_noise_scale3.0", "none-mlp"]
    assert [read_run(folder / f"{name}.ipynb")["params"]["mining_noise_scale"] for name in names] == [1.0, 3.0, 3.0]
    page = (folder / "summary.html").read_text()
    assert 'id="the-sweep"' in page and page.count("<title>conditional_nce-mlp-mining_noise_scale") == 4
    assert "2 comparisons, corrected together after Holm" in page
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.ipynb")}
    code, said = study(project, "run", "--grid", FILE)
    assert code == 0 and said.count("finished already") == 3
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.ipynb")} == before


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--strategy", "none"), "--strategy: a sweep's file says that"),
        (("-p", "n", "5", "--chunks", "2"), "-p, --chunks: a sweep's file says that"),
        (("--cell", "0", "--of", "7"), "array of 7 task(s): this study has 3 runs"),
    ],
)
def test_options_that_a_sweep_would_not_heed_are_refused(project, arguments, said):
    code, printed = study(project, "run", "--grid", FILE, *arguments)
    assert code == 2 and said in printed


def test_a_sweep_s_file_that_is_not_there(project):
    code, printed = study(project, "run", "--grid", "params/sweeps/absent.yaml")
    assert code == 2 and "cannot be read" in printed
