"""The study on a real Slurm of one node: what a cluster may do to it, and the results in spite of it.

The expensive jobs are two arrays, submitted at once at the start; tests look at what they left. Jobs are disturbed at
chosen steps, at which their strategies pause; only the notice of the time limit is left to Slurm's own clock.
"""

import contextlib
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from conftest import missing
from project_copy import copy_project, environment, pause_at, result
from slurm_node import HANG, SlurmNode, why_not

from anm.records.read import read_run

pytestmark = pytest.mark.timeout(2 * HANG)
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

    def submit_and_wait(self, study, *options, sbatch=()) -> tuple[int, subprocess.Popen]:
        """The same with `sbatch --wait`: the number of the job, and sbatch, which ends with the job."""
        command = ["stdbuf", "-oL", "sbatch", "--wait", "--parsable", *sbatch, SCRIPT, "--study", study, *options]
        waiting = subprocess.Popen(
            command, cwd=self.project, env=self.node.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return int(waiting.stdout.readline()), waiting

    def finish(self, job):
        return self.node.finish(job)

    def finish_report(self, job):
        """Waits for the report of an array, and returns its log."""
        number = int(re.search(r"job (\d+) builds the report", self.log(job)).group(1))
        states = self.node.finish(number)
        (log,) = (self.project / "slurm" / "logs").glob(f"anm-report-*-{number}.log")
        assert states == {str(number): "COMPLETED 0:0"}, log.read_text()
        return log.read_text()

    def drop_report(self, job):
        """Cancels the report of an array that no test looks at."""
        self.node.call("scancel", f"--name=anm-report-{job}")

    def log(self, job, task=0) -> str:
        path = self.project / "slurm" / "logs" / f"anm-{job}_{task}.log"
        return path.read_text() if path.exists() else ""

    def path(self, study, strategy) -> Path:
        return self.project / "reports" / study / f"{strategy.replace(':', '.')}-mlp.ipynb"

    def show(self, job) -> str:
        return self.node.call("scontrol", "show", "job", str(job))

    def processes(self, job) -> list[psutil.Process]:
        """Everything that runs for a job, wherever it was moved to, by the variables of its environment."""
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
    with SlurmNode(tmp_path_factory.mktemp("slurm") / "node") as node:
        node.env = environment() | {"SLURM_CONF": node.env["SLURM_CONF"]}
        yield Cluster(node, copy_project(tmp_path_factory.mktemp("project")))


@pytest.fixture(scope="module")
def quick(cluster, tmp_path_factory):
    """Another project on the same node, whose notebook draws no figures."""
    return Cluster(cluster.node, copy_project(tmp_path_factory.mktemp("quick"), figures=False))


# What a cluster does to the tasks of an array without GPUs, each at a step at which the task pauses


def requeue(cluster, job, task):
    cluster.node.call("scontrol", "requeue", f"{job}_{task}")


def signal_batch(cluster, job, task):
    cluster.node.call("scancel", "--batch", "--signal=USR2", f"{job}_{task}")


def kill_kernel(cluster, job, task):
    for process in cluster.processes(job):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ipykernel" in " ".join(process.cmdline()) and process.environ().get("SLURM_ARRAY_TASK_ID") == str(task):
                process.kill()


def reach_time_limit(cluster, job, task):
    """Moves the time limit so near that Slurm gives notice; once the task is requeued, far away again."""
    task, node = f"{job}_{task}", cluster.node
    legs = int(re.search(r"Restarts=(\d+)", cluster.show(task)).group(1)) + 1
    minutes = int(re.search(r"RunTime=00:(\d+)", cluster.show(task)).group(1)) + 2
    node.call("scontrol", "update", f"jobid={task}", f"timelimit={minutes}")
    node.wait_for(lambda: f"Restarts={legs} " in cluster.show(task), "no requeue after the time limit")
    node.call("scontrol", "update", f"jobid={task}", "timelimit=60")


# Strategy, and what happens to its task at which steps
DISTURBED = {
    "own:requeued": {7: requeue},
    "own:signalled": {5: signal_batch},
    "own:killed": {40: kill_kernel},
    "own:limited": {5: reach_time_limit, 20: reach_time_limit},
    "own:undisturbed": {},
    "own:broken": {},
}
TASK = {strategy: task for task, strategy in enumerate(DISTURBED)}


def disturb(cluster, job, strategy, events):
    """Waits for each pause of a task, and lets happen to it what the test has chosen."""
    for paused, event in events:
        cluster.node.wait_for(paused.exists, f"{strategy} does not pause at {paused}")
        event(cluster, job, TASK[strategy])


@pytest.fixture(scope="module")
def submitted(cluster, quick):
    """The disturbed array and `sbatch --wait` of it, the array of the recorded study, and the end of all events."""
    pauses = {
        strategy: [(pause_at(quick.project, "disturbed", strategy, step), event) for step, event in events.items()]
        for strategy, events in DISTURBED.items()
    }
    options = ["--strategy", *DISTURBED, "-f", "params/tiny.yaml"]
    disturbed = quick.submit_and_wait("disturbed", *options, sbatch=(*CPU, "--array=0-5"))
    array = cluster.node.sbatch(SCRIPT, cwd=cluster.project)
    with ThreadPoolExecutor(len(DISTURBED)) as pool:
        events = [pool.submit(disturb, quick, disturbed[0], *each) for each in pauses.items()]
        try:
            yield disturbed, array, events
        finally:
            cluster.node.given_up = True
    cluster.node.given_up = False
    with disturbed[1] as waiting:
        waiting.kill()


@pytest.fixture(scope="module")
def disturbed(quick, submitted):
    (job, _), _, events = submitted
    for event in events:
        event.result()
    return job, quick.finish(job)


@pytest.fixture(scope="module")
def array(cluster, submitted):
    """The recorded study as a user submits it, one GPU a task.

    These GPUs are links to /dev/null; the file of the study says device: cpu.
    """
    return submitted[1], cluster.finish(submitted[1])


# The array as submitted, on GPUs


def test_the_array_makes_three_records_and_exits_with_zero(cluster, array):
    job, states = array
    assert states == {f"{job}_{task}": "COMPLETED 0:0" for task in range(3)}, cluster.log(job)
    for strategy in STRATEGIES:
        record = read_run(cluster.path("full", strategy))
        assert record["params"]["strategy"] == strategy
        assert record["provenance"]["resumed"] == 0 and record["provenance"]["git_dirty"] is False
    assert not list((cluster.project / "reports" / "full").glob("*.part.ipynb"))


def test_each_task_had_a_gpu_and_its_log_names_its_run(cluster, array):
    job, _ = array
    assert cluster.show(job).count("TresPerNode=gres:gpu:1") == 3
    for task, strategy in enumerate(STRATEGIES):
        log = cluster.log(job, task)
        assert f"anm: {job}_{task} on " in log and "leg 1" in log and "nothing uncommitted" in log
        assert f"strategy             {strategy}" in log and "step " in log


def test_the_report_is_there_when_the_array_has_ended(cluster, array):
    log = cluster.finish_report(array[0])
    page = cluster.project / "reports" / "full" / "summary.html"
    assert "the report has all planned runs" in log and str(page) in log
    assert "<html" in page.read_text()


def test_submitting_again_runs_nothing_again(cluster, array):
    before = {strategy: cluster.path("full", strategy).stat().st_mtime_ns for strategy in STRATEGIES}
    job = cluster.node.sbatch(SCRIPT, cwd=cluster.project)
    assert set(cluster.finish(job).values()) == {"COMPLETED 0:0"}
    cluster.drop_report(job)
    for task, strategy in enumerate(STRATEGIES):
        assert f"finished already, in {strategy}-mlp.ipynb" in cluster.log(job, task)
        assert cluster.path("full", strategy).stat().st_mtime_ns == before[strategy]


# What goes wrong


def test_a_second_job_is_refused_and_a_cancelled_one_leaves_no_process(quick):
    study = ("endless", "--strategy", "own:pausing", "--wait", "0", "-f", "params/tiny.yaml")
    paused = pause_at(quick.project, "endless", "own:pausing", 5)
    first = quick.submit(*study, sbatch=(*CPU, "--array=0"))
    quick.node.wait_for(paused.exists, "the first job does not pause")
    part = quick.path("endless", "own:pausing").with_name("own.pausing-mlp.part.ipynb")
    second = quick.submit(*study, sbatch=(*CPU, "--array=0"))
    assert quick.finish(second) == {f"{second}_0": "FAILED 4:0"}, quick.log(second)
    assert f"(Slurm job {first}) is writing it" in quick.log(second)
    assert len(quick.processes(first)) >= 4  # the script, the study, papermill, the kernel
    assert part.exists()
    for job in (second, first):
        quick.drop_report(job)
        quick.node.call("scancel", str(job))
    assert quick.finish(first)[f"{first}_0"].startswith("CANCELLED")
    quick.node.wait_for(lambda: not quick.processes(first), f"still there: {quick.processes(first)}")
    assert not quick.path("endless", "own:pausing").exists()


def test_a_gpu_that_torch_cannot_see_ends_the_job_with_the_cure(cluster):
    job = cluster.submit(
        "nogpu", "--strategy", "none", "-f", "params/tiny.yaml", "-p", "device", "auto", sbatch=("--array=0",)
    )
    assert cluster.finish(job) == {f"{job}_0": "FAILED 2:0"}
    cluster.drop_report(job)
    assert "gave this job a GPU" in cluster.log(job) and "--gres=none" in cluster.log(job)


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


# The disturbed array, when all has happened to it


@pytest.mark.parametrize("strategy", [strategy for strategy, events in DISTURBED.items() if events])
def test_a_disturbed_task_ends_with_the_undisturbed_result(quick, disturbed, strategy):
    job, states = disturbed
    assert states[f"{job}_{TASK[strategy]}"] == "COMPLETED 0:0", quick.log(job, TASK[strategy])
    found, wanted = (result(quick.path("disturbed", name), "strategy") for name in (strategy, "own:undisturbed"))
    assert found == wanted


def test_the_undisturbed_task_ran_in_one_go(quick, disturbed):
    provenance = read_run(quick.path("disturbed", "own:undisturbed"))["provenance"]
    assert provenance["resumed"] == 0
    assert "leg 2" not in quick.log(disturbed[0], TASK["own:undisturbed"])


def test_a_signalled_task_resumes_from_the_step_of_the_signal(quick, disturbed):
    log = quick.log(disturbed[0], TASK["own:signalled"])
    assert "goes back to the queue" in log and "resumed at step 5 of 40" in log


def test_a_time_limit_reached_twice_takes_three_legs(quick, disturbed):
    log = quick.log(disturbed[0], TASK["own:limited"])
    assert read_run(quick.path("disturbed", "own:limited"))["provenance"]["resumed"] == 2
    assert "resumed at step 5 of 40" in log and "resumed at step 20 of 40" in log
    assert [leg for leg in (1, 2, 3, 4) if f"leg {leg}" in log] == [1, 2, 3]
    assert log.count("goes back to the queue") == 2 and "could not be requeued" not in log


def test_without_gpus_no_task_has_one(quick, disturbed):
    assert "gres:gpu" not in quick.show(disturbed[0])


def test_one_broken_task_does_not_stop_the_others(quick, submitted, disturbed):
    job, states = disturbed
    ended = {strategy: "FAILED 3:0" if strategy == "own:broken" else "COMPLETED 0:0" for strategy in TASK}
    assert states == {f"{job}_{TASK[strategy]}": state for strategy, state in ended.items()}
    assert "ArithmeticError: broken on purpose" in quick.log(job, TASK["own:broken"])
    assert submitted[0][1].wait() == 3  # sbatch --wait


def test_the_report_names_the_failure_and_is_built_once(quick, disturbed):
    job, _ = disturbed
    log = quick.finish_report(job)
    assert "leg 2" in quick.log(job, 0) and quick.log(job, 0).count("builds the report") == 1
    assert "runs that the report lacks: own.broken-mlp" in log
    page = (quick.project / "reports" / "disturbed" / "summary.html").read_text()
    assert "own.broken-mlp.part.ipynb" in page and "ArithmeticError: broken on purpose" in page


def test_the_node_leaves_nothing_behind(tmp_path):
    if reason := why_not():
        missing(reason)
    with SlurmNode(tmp_path / "node") as node:
        pids = [int((node.folder / f"{daemon}.pid").read_text()) for daemon in ("munged", "slurmctld", "slurmd")]
        job = node.sbatch("--output=/dev/null", "--wrap", "sleep 300", cwd=tmp_path)
        node.wait_for(lambda: "RUNNING" in node.states(job)[str(job)], "the job does not start")
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    here = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(tmp_path) in " ".join(process.info["cmdline"] or ())
    ]
    assert not here
