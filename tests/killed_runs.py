"""A run that is killed at twenty chosen places: python killed_runs.py FOLDER STRATEGY

Every attempt is a fork of this process, which has torch loaded already. The child kills itself with SIGKILL at the
chosen place of the chosen step; the next attempt resumes from the newest checkpoint. No clock decides anything.
Prints, as JSON: `deaths` (place, step of the kill, step of the newest checkpoint, number of unfinished files, for every
kill), `undisturbed` and `killed` (the results of a run in one go and of the killed run, without measured times).
"""

import hashlib
import io
import json
import os
import signal
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import torch
from tiny import silent_train, tiny

from anm.evaluation.scores import evaluate
from anm.records.schema import clean
from anm.records.write import run_record
from anm.training import loop
from anm.training.checkpoints import list_checkpoints, run_folder

STEPS = 40  # with a checkpoint after each, and a validation after every fifth
# (place, step, step of the newest checkpoint after the kill), in order
KILLS = [
    ("before the step", 1, 0),
    ("between the weights and their average", 1, 0),
    ("part file opened", 1, 0),
    ("part file half written", 1, 0),
    ("before the rename", 1, 0),
    ("after the rename", 1, 1),
    ("part file half written", 2, 1),
    ("before an old checkpoint is removed", 3, 3),
    ("resumed, before the next step", 4, 3),
    ("before the validation", 5, 4),
    ("part file opened", 5, 4),
    ("after the step", 9, 8),
    ("before the rename", 16, 15),
    ("after an old checkpoint is removed", 16, 16),
    ("after the rename", 20, 20),
    ("between the weights and their average", 21, 20),
    ("part file half written", 39, 38),
    ("part file half written", 40, 39),
    ("after an old checkpoint is removed", 40, 40),
    ("trained, before the evaluation", 40, 40),
]


class Killer:
    """Kills this process at one place of one step; `None` lets it live."""

    def __init__(self, place: str | None, step: int):
        self.place, self.step, self.now = place, step, None
        training_step, validate, adam = loop.training_step, loop.validate, torch.optim.Adam.step
        save, replace, unlink = torch.save, os.replace, Path.unlink

        def watched_step(state):
            self.now = state.step + 1
            self.at("before the step")
            if self.resumed:
                self.at("resumed, before the next step")
            self.resumed = False
            training_step(state)
            self.at("after the step")

        def watched_adam(*arguments, **options):
            adam(*arguments, **options)
            self.at("between the weights and their average")

        def watched_validate(state):
            self.at("before the validation")
            validate(state)

        def watched_save(content, file):
            self.at("part file opened")
            save(content, whole := io.BytesIO())
            file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
            file.flush()
            self.at("part file half written")
            file.write(whole.getvalue()[len(whole.getvalue()) // 2 :])

        def watched_replace(source, target):
            self.at("before the rename")
            replace(source, target)
            self.at("after the rename")

        def watched_unlink(path, **options):
            if path.suffix == ".pt":
                self.at("before an old checkpoint is removed")
            unlink(path, **options)
            if path.suffix == ".pt":
                self.at("after an old checkpoint is removed")

        self.resumed = True
        loop.training_step, loop.validate, torch.optim.Adam.step = watched_step, watched_validate, watched_adam
        torch.save, os.replace, Path.unlink = watched_save, watched_replace, watched_unlink

    def at(self, place: str) -> None:
        """Called at every place; the chosen one is the last."""
        if (place, self.now) == (self.place, self.step):
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(params, target: Path, killer: Killer) -> None:
    """In a child: train, from the last checkpoint if there is one, evaluate, write the result."""
    solver = silent_train(params, checkpoint_seconds=-1)
    killer.now = solver.step
    killer.at("trained, before the evaluation")
    record = clean(run_record(solver, evaluate(solver), datetime.now(UTC)))
    weights = [hashlib.sha256(weight.numpy().tobytes()).hexdigest() for weight in solver.model.state_dict().values()]
    target.write_text(json.dumps({"record": record | {"provenance": None, "params": None}, "weights": weights}))


def status_of_attempt(params, target: Path, place: str | None = None, step: int = 0) -> int:
    """The wait status of a child that works on the run and is killed at the place."""
    if pid := os.fork():
        return os.waitpid(pid, 0)[1]
    try:
        attempt(params, target, Killer(place, step))
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)


def death(params, target: Path, place: str, step: int) -> tuple:
    """An attempt that is killed at the place; what it left."""
    status = status_of_attempt(params, target, place, step)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        raise SystemExit(f"not killed {place} {step}: the attempt ended with status {status}")
    folder = run_folder(params)
    newest = [int(path.stem.removeprefix("step-")) for path in list_checkpoints(folder)[:1]] or [0]
    return place, step, newest[0], len(list(folder.glob("*.part")))


def result(params, target: Path) -> dict:
    """An attempt that nothing kills; its result."""
    if status := status_of_attempt(params, target):
        raise SystemExit(f"an attempt failed with status {status}")
    return json.loads(target.read_text())


def main(folder: Path, strategy: str) -> None:
    loop.VALIDATION_PROBLEMS = 10
    import_module("anm.evaluation.scores").evaluate_generalization = lambda solver, problems: {}

    def run(name):
        settings = {"train_steps": STEPS, "test_problems": 10, "noise_levels": 3, "replay_size": 30}
        return tiny(folder / name, strategy=strategy, **settings)

    torch.set_num_threads(1)  # a child of a process with several would wait for threads that it does not have
    loop.untrained(run("unused"))  # what torch loads late is loaded before the first fork
    undisturbed = result(run("undisturbed"), folder / "undisturbed.json")
    params, target = run("killed"), folder / "killed.json"
    deaths = [death(params, target, place, step) for place, step, _ in KILLS]
    print(json.dumps({"deaths": deaths, "undisturbed": undisturbed, "killed": result(params, target)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
