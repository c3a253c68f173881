"""The study on a real Slurm of one node: what a cluster may do to it, and what must come of it.

The expensive jobs are fixtures; tests look at what they left.
"""

import contextlib
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import missing
from project_copy import copy_project, environment, result
from slurm_node import SlurmNode, why_not

from anm.record import read_run

pytestmark = pytest.mark.timeout(1800)  # what hangs; on two idle cores all of it takes minutes
STRATEGIES = ("none", "random", "adversarial")
SCRIPT = "slurm/papermill.sbatch"
CPU = ("--gres=none", "--cpus-per-task=1")


class Cluster:
    """A project on a node: submit a study, wait for it, read its logs."""

    def __init__(self, node: SlurmNode, project: Path):
        self.node, self.project = node, project

    def submit(self, study, *options, sbatch=()) -> int:
        """The number of an array job: sbatch's options, then the script with the study's."""
        return self.node.sbatch(*sbatch, SCRIPT, "--study", study, *options, cwd=self.project)

    def finish(self, job, seconds=900):
        return self.node.finish(job, seconds)

    def finish_report(self, job, seconds=600):
        """Waits for the report of an array, and returns its log."""
        number = int(re.search(r"job (\d+) builds the report", self.log(job)).group(1))
        states = self.node.finish(number, seconds)
        (log,) = (self.project / "slurm" / "logs").glob(f"anm-report-*-{number}.log")
        assert states == {str(number): "COMPLETED 0:0"}, log.read_text()
        return log.read_text()

    def drop_report(self, job):
        """Cancels the report of an array that nobody will look at."""
        self.node.call("scancel", f"--name=anm-report-{job}")

    def log(self, job, task=0) -> str:
        path = self.project / "slurm" / "logs" / f"anm-{job}_{task}.log"
        return path.read_text() if path.exists() else ""

    def wait_for_log(self, words, job, task=0, seconds=600) -> str:
        return self.node.wait_for(
            lambda: words in self.log(job, task) and self.log(job, task), f"no {words!r} in the log", seconds
        )

    def path(self, study, strategy) -> Path:
        return self.project / "reports" / study / f"{strategy.replace(':', '.')}-mlp.ipynb"

    def processes(self, job) -> list[psutil.Process]:
        """Everything that runs for a job, wherever it was moved to: told by the environment."""
        found = []
        for process in psutil.process_iter():
            try:
                values = process.environ()
            except psutil.Error:
                continue
            if (
                str(job) in (values.get("SLURM_ARRAY_JOB_ID"), values.get("SLURM_JOB_ID"))
                and values.get("SLURM_CONF") == self.node.env["SLURM_CONF"]
            ):
                found.append(process)
        return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := why_not():
        missing(reason)
    project = copy_project(tmp_path_factory.mktemp("project"))
    with SlurmNode(tmp_path_factory.mktemp("slurm") / "node") as node:
        node.env = environment() | {"SLURM_CONF": node.env["SLURM_CONF"]}
        yield Cluster(node, project)


# The array as submitted, on GPUs


@pytest.fixture(scope="module")
def array(cluster):
    """The recorded study as a user submits it: one GPU a task. They are links to /dev/null here, so its file says device: cpu."""
    job = cluster.node.sbatch(SCRIPT, cwd=cluster.project)
    return job, cluster.finish(job)


def test_the_array_makes_three_records_and_exits_with_zero(cluster, array):
    job, states = array
    assert states == {f"{job}_{task}": "COMPLETED 0:0" for task in range(3)}, cluster.log(job)
    for strategy in STRATEGIES:
        record = read_run(cluster.path("full", strategy))
        assert record["params"]["strategy"] == strategy
        assert record["provenance"]["resumed"] == 0 and record["provenance"]["git_dirty"] is False
    assert not list(cluster.project.rglob("*.part.ipynb"))


def test_each_task_had_a_gpu_and_its_log_says_what_runs(cluster, array):
    job, _ = array
    record = cluster.node.call("scontrol", "show", "job", str(job))
    assert record.count("TresPerNode=gres:gpu:1") == 3
    for task, strategy in enumerate(STRATEGIES):
        log = cluster.log(job, task)
        assert f"anm: {job}_{task} on " in log and "leg 1" in log and "nothing uncommitted" in log
        assert f"strategy             {strategy}" in log and "step " in log


def test_the_report_is_there_when_the_array_has_ended(cluster, array):
    log = cluster.finish_report(array[0])
    page = cluster.project / "reports" / "summary.html"
    assert "runs that the report lacks: none" in log and str(page) in log
    assert "<html" in page.read_text()


def test_submitting_again_runs_nothing_again(cluster, array):
    before = {strategy: cluster.path("full", strategy).stat().st_mtime_ns for strategy in STRATEGIES}
    job = cluster.node.sbatch(SCRIPT, cwd=cluster.project)
    assert set(cluster.finish(job).values()) == {"COMPLETED 0:0"}
    cluster.drop_report(job)
    for task, strategy in enumerate(STRATEGIES):
        assert f"finished already, in {strategy}-mlp.ipynb" in cluster.log(job, task)
        assert cluster.path("full", strategy).stat().st_mtime_ns == before[strategy]


def test_a_gpu_that_torch_cannot_see_ends_the_job_with_the_cure(cluster):
    job = cluster.submit(
        "nogpu", "--strategy", "none", "-f", "params/tiny.yaml", "-p", "device", "auto", sbatch=("--array=0",)
    )
    assert cluster.finish(job) == {f"{job}_0": "FAILED 2:0"}
    cluster.drop_report(job)
    assert "gave this job a GPU" in cluster.log(job) and "--gres=none" in cluster.log(job)


# What a cluster does to jobs, each to one task of an array without GPUs


@pytest.fixture(scope="module")
def disturbed(cluster, array):
    """An array of which one task is signalled, one requeued and one loses its kernel, each at a random moment of its run."""
    seed = int.from_bytes(os.urandom(2))
    print(f"moments drawn with seed {seed}")
    chance = random.Random(seed)
    usual = max(read_run(cluster.path("full", strategy))["provenance"]["seconds"] for strategy in STRATEGIES)
    job = cluster.submit("disturbed", "-f", "params/tiny.yaml", sbatch=CPU)
    for task in range(3):
        cluster.wait_for_log("leg 1", job, task)
    now = time.monotonic()
    for moment, task in sorted((now + chance.uniform(0.1, usual), task) for task in range(3)):
        time.sleep(max(0.0, moment - time.monotonic()))
        BLOWS[task](cluster, job, task)
    return job, cluster.finish(job)


def signal_batch(cluster, job, task):
    cluster.node.call("scancel", "--batch", "--signal=USR2", f"{job}_{task}")


def requeue(cluster, job, task):
    cluster.node.call("scontrol", "requeue", f"{job}_{task}", check=False)  # it may just have ended


def kill_kernel(cluster, job, task):
    for process in cluster.processes(job):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ipykernel" in " ".join(process.cmdline()) and process.environ().get("SLURM_ARRAY_TASK_ID") == str(task):
                process.kill()


BLOWS = (signal_batch, requeue, kill_kernel)


@pytest.mark.parametrize("task", range(3), ids=[blow.__name__ for blow in BLOWS])
def test_a_disturbed_task_ends_with_the_undisturbed_result(cluster, disturbed, task):
    job, states = disturbed
    assert states[f"{job}_{task}"] == "COMPLETED 0:0", cluster.log(job, task)
    strategy = STRATEGIES[task]
    assert result(cluster.path("disturbed", strategy)) == result(cluster.path("full", strategy))


def test_without_gpus_no_task_has_one(cluster, disturbed):
    assert "gres:gpu" not in cluster.node.call("scontrol", "show", "job", str(disturbed[0]))


def test_a_first_task_that_comes_again_asks_for_no_second_report(cluster, disturbed):
    job, _ = disturbed
    assert cluster.log(job, 0).count("builds the report") == 1
    cluster.drop_report(job)


# The time limit


def strike(cluster, job, leg):
    """Moves the time limit so close, once this leg trains, that the job is told; waits until it is back in the queue."""
    cluster.wait_for_log(f"leg {leg}", job)
    log = cluster.log(job)
    cluster.node.wait_for(lambda: "ms/step" in cluster.log(job)[len(log) :], "no training", 600)
    minutes = int(re.search(r"RunTime=00:(\d+)", cluster.node.call("scontrol", "show", "job", str(job))).group(1)) + 2
    cluster.node.call("scontrol", "update", f"jobid={job}_0", f"timelimit={minutes}")
    cluster.node.wait_for(
        lambda: cluster.log(job).count("goes back to the queue") == leg, "no notice of the limit", 300
    )
    cluster.node.wait_for(lambda: "PENDING" in cluster.node.states(job)[f"{job}_0"], "not requeued", 120)
    cluster.node.call("scontrol", "update", f"jobid={job}_0", "timelimit=60")


def test_a_time_limit_that_strikes_twice_leaves_the_undisturbed_result(cluster):
    long = ("--strategy", "own:slow", "-f", "params/tiny.yaml", "-p", "train_steps", "800")
    job = cluster.submit("limited", *long, sbatch=(*CPU, "--array=0", "--signal=B:USR2@120"))
    command = [sys.executable, "-m", "anm.study", "run", "--study", "unlimited", *long]
    with subprocess.Popen(
        command, cwd=cluster.project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as unlimited:
        strike(cluster, job, leg=1)
        strike(cluster, job, leg=2)
        assert cluster.finish(job) == {f"{job}_0": "COMPLETED 0:0"}, cluster.log(job)
        output, _ = unlimited.communicate()
    assert unlimited.returncode == 0, output
    cluster.drop_report(job)
    record = read_run(cluster.path("limited", "own:slow"))
    assert record["provenance"]["resumed"] == 2
    assert [f"leg {leg}" in cluster.log(job) for leg in (1, 2, 3, 4)] == [True] * 3 + [False]
    assert "could not be requeued" not in cluster.log(job)
    assert result(cluster.path("limited", "own:slow")) == result(cluster.path("unlimited", "own:slow"))


# What goes wrong


@pytest.fixture(scope="module")
def broken(cluster):
    """An array of three of which the second fails, submitted with --wait; its number and sbatch's exit code."""
    options = ["--strategy", "none", "own:broken", "random", "-f", "params/tiny.yaml", "-p", "train_steps", "5"]
    waiting = subprocess.run(
        ["sbatch", "--wait", "--parsable", *CPU, SCRIPT, "--study", "broken", *options],
        cwd=cluster.project,
        env=cluster.node.env,
        capture_output=True,
        text=True,
        timeout=900,
    )
    return int(waiting.stdout), waiting.returncode


def test_one_broken_task_does_not_stop_the_others(cluster, broken):
    job, code = broken
    assert code == 3
    states = cluster.finish(job)
    assert states == {f"{job}_0": "COMPLETED 0:0", f"{job}_1": "FAILED 3:0", f"{job}_2": "COMPLETED 0:0"}
    assert "ArithmeticError: broken on purpose" in cluster.log(job, 1)


def test_the_report_names_the_failure(cluster, broken):
    log = cluster.finish_report(broken[0])
    assert "runs that the report lacks: own.broken-mlp" in log
    page = (cluster.project / "reports" / "broken" / "summary.html").read_text()
    assert "own.broken-mlp.part.ipynb" in page and "ArithmeticError: broken on purpose" in page


def test_a_second_job_is_refused_and_a_cancelled_one_leaves_no_process(cluster):
    endless = ("--strategy", "own:slow", "--wait", "0", "-f", "params/tiny.yaml", "-p", "train_steps", "4000")
    first = cluster.submit("endless", *endless, sbatch=(*CPU, "--array=0"))
    cluster.wait_for_log("ms/step", first)
    part = cluster.path("endless", "own:slow").with_name("own.slow-mlp.part.ipynb")
    second = cluster.submit("endless", *endless, sbatch=(*CPU, "--array=0"))
    assert cluster.finish(second) == {f"{second}_0": "FAILED 4:0"}, cluster.log(second)
    assert f"(Slurm job {first}) is at work on it" in cluster.log(second)
    assert len(cluster.processes(first)) >= 4  # the script, the study, papermill, the kernel
    assert part.exists()
    for job in (second, first):
        cluster.drop_report(job)
        cluster.node.call("scancel", str(job))
    assert cluster.finish(first)[f"{first}_0"].startswith("CANCELLED")
    cluster.node.wait_for(lambda: not cluster.processes(first), f"still there: {cluster.processes(first)}", 60)
    assert not cluster.path("endless", "own:slow").exists()


@pytest.fixture(scope="module")
def small_disks(cluster):
    """Folders of the project on disks of their own: `full` is too small, `frozen` cannot be written to."""
    mounted = []
    try:
        for name, options in (("full", "size=2m"), ("frozen", "ro")):
            folder = cluster.project / name
            folder.mkdir()
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
            )
            if done.returncode:
                missing(f"no small disk can be mounted: {done.stderr.strip()}")
            mounted.append(folder)
        yield
    finally:
        for folder in mounted:
            subprocess.run(["umount", str(folder)], check=True)


BAD = {
    "no parameter file": (
        ["--study", "absent"],
        "there is no params/absent.yaml; write it, or give a file of parameters with -f",
    ),
    "unknown strategy": (["--study", "tiny", "--strategy", "adversial"], "Did you mean 'adversarial'?"),
    "array too small": (
        ["--study", "tiny"],
        "this study has 3 runs (none-mlp, random-mlp, adversarial-mlp); submit it with --array=0-2",
    ),
    "full disk": (
        ["--study", "tiny", "--strategy", "none", "--reports", "full"],
        "2 MiB free, and the run needs about 20 MiB there; delete what is old",
    ),
    "read-only reports": (
        ["--study", "tiny", "--strategy", "none", "--reports", "frozen"],
        "must be a folder that can be written to (Read-only file system)",
    ),
}


@pytest.fixture(scope="module")
def refused(cluster, small_disks):
    """The array jobs of all bad inputs, submitted at once."""
    return {
        case: cluster.node.sbatch(*CPU, "--array=0", SCRIPT, *options, cwd=cluster.project)
        for case, (options, _) in BAD.items()
    }


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_run_ends_before_any_work_with_the_reason_and_the_cure(cluster, refused, case):
    job = refused[case]
    assert cluster.finish(job) == {f"{job}_0": "FAILED 2:0"}, cluster.log(job)
    cluster.drop_report(job)
    log = cluster.log(job)
    assert BAD[case][1] in log
    assert "Executing" not in log  # papermill's word


def test_a_missing_environment_is_named_with_its_cure(cluster):
    job = cluster.node.sbatch(*CPU, "--array=0", "--export=ALL,ANM_PYTHON=/no/python", SCRIPT, cwd=cluster.project)
    assert cluster.finish(job) == {f"{job}_0": "FAILED 2:0"}
    assert "/no/python: no such python; run make setup" in cluster.log(job)


def test_the_node_leaves_nothing_behind(tmp_path):
    if reason := why_not():
        missing(reason)
    with SlurmNode(tmp_path / "node") as node:
        pids = [int((node.folder / f"{daemon}.pid").read_text()) for daemon in ("munged", "slurmctld", "slurmd")]
        job = node.sbatch("--output=/dev/null", "--wrap", "sleep 300", cwd=tmp_path)
        node.wait_for(lambda: "RUNNING" in node.states(job)[str(job)], "the job does not start", 20)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    here = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(tmp_path) in " ".join(process.info["cmdline"] or ())
    ]
    assert not here
