"""A run that is killed again and again: python killed_runs.py FOLDER STRATEGY SEED

Forks every attempt from this process, which has torch loaded already, so that twenty deaths take seconds. Prints, as
JSON: `reached` (the step of the newest checkpoint at every death), `whole` (what a run in one go came to) and `ends`
(what the runs came to that were killed on their way), both without what a clock measured.
"""

import json
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import torch
from tiny import silent_train, tiny

from anm import trainer
from anm.checkpoint import checkpoints, run_folder
from anm.energy import mlp
from anm.evaluate import evaluate
from anm.record import run_record
from anm.schema import clean

KILLS = 20


def attempt(params, target: Path) -> None:
    """In a child: train, from the last checkpoint if there is one, evaluate, write what it came to."""
    solver = silent_train(params, checkpoint_seconds=0)
    record = clean(run_record(solver, evaluate(solver), datetime.now(UTC)))
    weights = [weight.double().sum().item() for weight in solver.model.parameters()]
    target.write_text(json.dumps({"record": record | {"provenance": None, "params": None}, "weights": weights}))


def fork(params, target: Path) -> int:
    """The process id of a child at work on the run."""
    if pid := os.fork():
        return pid
    try:
        attempt(params, target)
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)


def finished(pid: int, seconds: float) -> bool:
    """Whether the child ended by itself within that time; raises if it failed."""
    over = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if status:
                raise SystemExit(f"an attempt failed with status {status}")
            return True
        if time.monotonic() > over:
            return False
        time.sleep(0.001)


def main(folder: Path, strategy: str, seed: int) -> None:
    moment, target, reached, ends = random.Random(seed), folder / "end.json", [], []
    mlp.HIDDEN, trainer.VALIDATION_PROBLEMS = 32, 10
    import_module("anm.evaluate").evaluate_beyond = lambda solver, problems: {}

    def run(name):
        return tiny(folder / name, strategy=strategy, train_steps=40, test_problems=10, noise_levels=3, replay_size=30)

    torch.set_num_threads(1)  # a child of a process with several would wait for threads that it does not have
    trainer.untrained(run("unused"))  # what torch loads late is loaded before the first fork
    started = time.monotonic()
    finished(fork(run("whole"), target), 600)
    length, whole = time.monotonic() - started, target.read_text()
    while not ends or len(reached) < KILLS:
        params = run(f"killed{len(ends)}")
        pid = fork(params, target)
        if finished(pid, moment.uniform(0, length / 8) if len(reached) < KILLS else 600):
            ends.append(target.read_text())
            continue
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        reached += [int(path.stem.removeprefix("step-")) for path in checkpoints(run_folder(params))[:1]] or [0]
    print(json.dumps({"reached": reached, "whole": json.loads(whole), "ends": [json.loads(end) for end in ends]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
