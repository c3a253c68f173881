"""A measurement in stages: each is stored before the next begins, and one that fails leaves the others' results."""

import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from anm.params import RunParams
from anm.records.schema import check_record, clean, plain
from anm.utils.signals import Interrupted, StopSignal

LARGEST_OUTPUT = 60 * 2**20  # bytes of all files together
RESULTS, RECORDS = "gpu.json", "records"
FEWEST_SECONDS = 5.0  # a stage with less time left does not begin


class SkippedStage(RuntimeError):
    """A stage cannot be done here; the message is the reason."""


class StagedRun:
    """The results of stages in a folder, and the time that is left for them.

    stages: name -> `rows`, its results, `seconds`, and `skipped`, `failed` or `stopped` with the reason where it is not
    complete. Results of an earlier run in the same folder stay until their stage is done again.
    """

    def __init__(self, folder: Path, minutes: float, about: dict[str, Any], log: Callable[[str], None] = print):
        self.folder, self.about, self.log = folder, about, log
        self.minutes, self.ends = minutes, time.monotonic() + 60 * minutes
        self.stages: dict[str, dict] = {}
        self.stage_ends, self.stopped = self.ends, False
        (folder / RECORDS).mkdir(parents=True, exist_ok=True)
        if (folder / RESULTS).is_file():
            self.stages = json.loads((folder / RESULTS).read_text())["stages"]
        self.store()

    def left(self) -> float:
        """Seconds until the current stage must end."""
        return min(self.stage_ends, self.ends) - time.monotonic()

    def do(self, name: str, rows: Callable[[], Iterator[dict]], share: float = 1.0) -> None:
        """Do one stage: `rows` yields its results, each stored at once. share: of all minutes, the most it may take."""
        entry, started = {"rows": []}, time.monotonic()
        self.stages[name], self.stage_ends = entry, started + 60 * self.minutes * share
        try:
            if self.stopped or self.left() < FEWEST_SECONDS:
                raise SkippedStage("a signal stopped the command" if self.stopped else "no time is left")
            for row in rows():
                entry["rows"].append(clean(row))
                self.log(f"{name}: {describe(row)}")
                self.store()
                if self.left() <= 0:
                    raise TimeoutError("its time is over; give it more with --minutes")
        except SkippedStage as reason:
            entry["skipped"] = str(reason)
        except ImportError as error:
            entry["skipped"] = f"{error}; install the packages of requirements-gpu.txt"
        except TimeoutError as reason:
            entry["stopped"] = str(reason)
        except Interrupted as reason:
            self.stopped = self.left() > 0  # else the time was over, and no person asked for it
            entry["stopped"] = str(reason)
        except Exception as error:  # whatever fails, the other stages are worth having
            entry["failed"] = plain(traceback.format_exception_only(error)[-1])
            entry["traceback"] = traceback.format_exc()[-4000:]
        entry["seconds"] = round(time.monotonic() - started, 3)
        self.log(f"{name}: {outcome(entry)}")
        self.store()

    @contextmanager
    def stopping_training(self) -> Iterator[None]:
        """Within this context, a training stops between two steps when the stage's time is over."""
        with StopSignal() as stop:  # for a signal that comes when no training runs
            reminder = Reminder(self.left())
            reminder.start()
            try:
                yield
            finally:
                reminder.end()
        if stop.received and self.left() > 0:
            raise Interrupted(f"stopped by {stop.received}")

    def store(self) -> None:
        """Write the results so far, atomically."""
        part = self.folder / f".{RESULTS}.{os.getpid()}"
        part.write_text(json.dumps({"about": self.about, "stages": self.stages}, indent=1))
        part.replace(self.folder / RESULTS)

    def record_of(self, name: str, params: RunParams) -> dict | None:
        """The record that an earlier call stored of the same run, or None."""
        with suppress(OSError, ValueError, KeyError):
            record = json.loads((self.folder / RECORDS / f"{name}.json").read_text())
            return record if RunParams(**record["params"]).run_id() == params.run_id() else None
        return None

    def store_record(self, name: str, record: dict) -> str:
        """Write the record of a run; returns its path in the folder.

        Raises `RecordError` on a record that `read_run` would refuse, and `SkippedStage` where the files of the folder
        would be larger than LARGEST_OUTPUT together.
        """
        record = clean(record)
        check_record(record)
        text, path = json.dumps(record), self.folder / RECORDS / f"{name}.json"
        there = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file() and file != path)
        if there + len(text) > LARGEST_OUTPUT:
            raise SkippedStage(f"{path.name}: all files together would be above {LARGEST_OUTPUT >> 20} MiB")
        path.write_text(text)
        return str(path.relative_to(self.folder))


class Reminder(threading.Thread):
    """After some seconds, sends this process SIGUSR2 every second until it ends: a training may not have begun yet."""

    def __init__(self, seconds: float):
        super().__init__(daemon=True)
        self.seconds, self.over, self.sending = seconds, threading.Event(), threading.Lock()

    def run(self) -> None:
        self.over.wait(max(0.0, self.seconds))
        while not self.over.is_set():
            with self.sending:
                if not self.over.is_set():
                    os.kill(os.getpid(), signal.SIGUSR2)
            self.over.wait(1.0)

    def end(self) -> None:
        """No signal comes after this call."""
        with self.sending:
            self.over.set()


def outcome(entry: dict) -> str:
    """How a stage ended, in one line."""
    reasons = [f"{kind}: {entry[kind]}" for kind in ("skipped", "stopped", "failed") if kind in entry]
    return f"{', '.join(reasons) or 'done'} ({len(entry['rows'])} results, {entry['seconds']:.0f} s)"


def describe(row: dict) -> str:
    """A result in one line, without its nested parts."""
    numbers = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in row.items()}
    return ", ".join(f"{name} {value}" for name, value in numbers.items() if not isinstance(value, (dict, list)))
