"""A real Slurm of one node: its own munge, controller and node daemon, on loopback, in one folder.

    with SlurmNode(folder) as node:
        job = node.sbatch("--wrap", "true", cwd=project)

Everything (keys, sockets, ports, pid files, logs) belongs to this node alone; daemons are stopped by their
pid files. Needs root, because a job step of slurmd runs as the one who submitted it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil

CPUS = 12  # more than most machines have: jobs that pause keep theirs
HANG = 900.0  # seconds after which a test that waits for an event gives up; nothing depends on it otherwise
TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")

CONF = """
ClusterName=anm
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
JobAcctGatherType=jobacct_gather/linux
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MinJobAge=3600
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN Gres=gpu:{gpus}
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """The reason why this machine cannot be a node, or None."""
    absent = [tool for tool in TOOLS if find(tool) is None]
    if absent:
        return f"no {', '.join(absent)} on this machine: apt install slurm-wlm munge"
    return None if os.geteuid() == 0 else "a node of its own can only be started by root"


def find(tool: str) -> str | None:
    return shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class SlurmNode:
    """A running node; `gpus` of its GPUs are links to /dev/null that --gres=gpu:1 accepts."""

    def __init__(self, folder: Path, gpus: int = 4):
        self.folder, self.gpus = Path(folder), gpus
        self.started: list[str] = []
        self.given_up = False  # ends all waiting
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        self.env["SLURM_CONF"] = str(self.folder / "slurm.conf")

    def __enter__(self):
        self.write_files()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error):
        self.stop()

    def write_files(self):
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        (self.folder / "slurm.conf").write_text(
            CONF.format(folder=self.folder, ports=free_ports(2), gpus=self.gpus, cpus=CPUS)
        )
        devices = [self.folder / f"gpu{index}" for index in range(self.gpus)]
        for device in devices:
            device.symlink_to("/dev/null")
        (self.folder / "gres.conf").write_text("".join(f"Name=gpu File={device}\n" for device in devices))

    def start(self):
        folder = self.folder
        self.daemon(
            "munged",
            "--force",
            f"--key-file={folder}/munge.key",
            f"--socket={folder}/munge.socket",
            f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munged.log",
            f"--seed-file={folder}/munge.seed",
        )
        self.daemon("slurmctld")
        self.daemon("slurmd", "-N", "localhost")
        self.wait_for(lambda: "idle" in self.call("sinfo", "-h", "-o", "%T"), "the node is not idle")

    def daemon(self, name: str, *arguments: str):
        """Starts a daemon; returns once its pid file is written, by which it can be stopped."""
        self.call(find(name), *arguments)
        self.started.append(name)
        self.wait_for(lambda: self.pid(name), f"{name} has no pid file")

    def pid(self, name: str) -> int | None:
        file = self.folder / f"{name}.pid"
        text = file.read_text().strip() if file.exists() else ""
        return int(text) if text else None

    def stop(self):
        """Ends the jobs, then the daemons, each by its pid file; returns when they are gone."""
        try:
            if "slurmctld" in self.started:
                self.call("scancel", "--user=root", check=False)
                self.wait_for(lambda: not self.call("squeue", "-h", check=False), "jobs do not end")
        finally:
            for name in reversed(self.started):
                if pid := self.pid(name):
                    stop_process(pid, name)

    def call(self, *command, check: bool = True, **options) -> str:
        done = subprocess.run(
            list(map(str, command)), env=self.env, capture_output=True, text=True, timeout=HANG, **options
        )
        if check and done.returncode:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def wait_for(self, happened, what: str):
        """Polls until `happened()` is true and returns what it gave."""
        deadline = time.monotonic() + HANG
        while not (result := happened()):
            if self.given_up or time.monotonic() > deadline:
                raise TimeoutError(f"{what} after {HANG} s\n{self.call('squeue', check=False)}\n{self.tail()}")
            time.sleep(0.1)
        return result

    def tail(self) -> str:
        logs = [self.folder / f"{daemon}.log" for daemon in ("slurmctld", "slurmd")]
        return "\n".join("\n".join(log.read_text().splitlines()[-15:]) for log in logs if log.exists())

    def sbatch(self, *arguments, cwd: Path) -> int:
        """Submits and returns the number of the job."""
        return int(self.call("sbatch", "--parsable", *arguments, cwd=cwd).split(";")[0])

    def states(self, job: int) -> dict[str, str]:
        """State and exit code of every task of a job: {"7_0": "COMPLETED 0:0"}; a plain job has the key "7"."""
        records = self.call("scontrol", "show", "job", str(job), "--oneliner").splitlines()
        tasks = {}
        for record in records:
            field = dict(re.findall(r"(\w+)=(\S*)", record))
            task = f"_{field['ArrayTaskId']}" if "ArrayTaskId" in field else ""
            tasks[f"{job}{task}"] = f"{field['JobState']} {field['ExitCode']}"
        return tasks

    def finish(self, job: int) -> dict[str, str]:
        """Waits until a job and all its tasks have ended for good; returns their states."""
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")

        def ended():
            states = self.states(job)
            return all(state.split()[0] in over for state in states.values()) and states

        return self.wait_for(ended, f"job {job} has not ended")


def stop_process(pid: int, name: str):
    """Stops one process, if it is still the one of that name, and waits for its end."""
    try:
        process = psutil.Process(pid)
        if process.name() != name:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(5)
    except psutil.NoSuchProcess:
        pass
