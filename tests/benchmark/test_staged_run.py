"""Stages: stored one by one, each with its reason where it is not complete."""

import json
import os
import signal

import pytest
from records import make_record
from tiny import silent_train, tiny

from anm.benchmark import staged_run
from anm.benchmark.staged_run import Reminder, SkippedStage, StagedRun
from anm.params import RunParams
from anm.records.schema import RecordError
from anm.utils.signals import Interrupted


@pytest.fixture
def run(tmp_path):
    return StagedRun(tmp_path / "out", 10, {"gpu": None}, log=lambda line: None)


def stored(run) -> dict:
    return json.loads((run.folder / "gpu.json").read_text())["stages"]


def test_each_result_is_stored_before_the_next(run):
    def rows():
        yield {"first": 1}
        assert stored(run)["a"]["rows"] == [{"first": 1}]
        yield {"second": float("nan")}

    run.do("a", rows)
    assert stored(run)["a"]["rows"] == [{"first": 1}, {"second": None}]
    assert stored(run)["a"].keys() == {"rows", "seconds"}


def test_a_stage_that_fails_keeps_its_results_and_leaves_the_others(run):
    def failing():
        yield {"value": 1}
        raise ValueError("the third kernel\nhas no image")

    run.do("before", lambda: iter([{"value": 0}]))
    run.do("bad", failing)
    run.do("after", lambda: iter([{"value": 2}]))
    assert [entry["rows"][0]["value"] for entry in stored(run).values()] == [0, 1, 2]
    assert stored(run)["bad"]["failed"] == "ValueError: the third kernel has no image"
    assert "failing" in stored(run)["bad"]["traceback"]


def raising(error):
    def rows():
        raise error
        yield

    return rows


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (SkippedStage("no GPU"), "skipped", "no GPU"),
        (
            ModuleNotFoundError("No module named 'yaml'"),
            "skipped",
            "yaml'; install the packages of requirements-gpu.txt",
        ),
        (Interrupted("stopped at step 3"), "stopped", "stopped at step 3"),
    ],
)
def test_a_reason_is_stored_under_its_kind(error, kind, reason, run):
    run.do("a", raising(error))
    assert reason in stored(run)["a"][kind]


def test_a_stage_ends_when_its_share_of_the_time_is_over_and_the_others_go_on(run, monkeypatch):
    monkeypatch.setattr(staged_run, "FEWEST_SECONDS", -1e9)
    run.do("short", lambda: iter([{"value": 1}, {"value": 2}]), share=0)
    run.do("long", lambda: iter([{"value": 1}, {"value": 2}]))
    assert [len(entry["rows"]) for entry in stored(run).values()] == [1, 2]
    assert "time is over" in stored(run)["short"]["stopped"] and "stopped" not in stored(run)["long"]


def test_without_time_a_stage_does_not_begin(tmp_path):
    run = StagedRun(tmp_path, 0.001, {}, log=lambda line: None)
    run.do("a", lambda: pytest.fail("begun"))
    assert stored(run)["a"]["skipped"] == "no time is left"


def test_the_results_of_an_earlier_call_stay(run):
    run.do("a", lambda: iter([{"value": 1}]))
    run.do("b", lambda: iter([{"value": 1}]))
    again = StagedRun(run.folder, 10, {}, log=lambda line: None)
    again.do("b", lambda: iter([{"value": 2}]))
    assert {name: entry["rows"] for name, entry in stored(again).items()} == {"a": [{"value": 1}], "b": [{"value": 2}]}


def test_a_training_stops_when_the_time_is_over(tmp_path, monkeypatch):
    """However late it begins: the signal comes again."""
    monkeypatch.setattr(staged_run, "FEWEST_SECONDS", -1e9)
    run = StagedRun(tmp_path / "out", 0.0, {}, log=lambda line: None)

    def rows():
        with run.stopping_training():
            silent_train(tiny(tmp_path, train_steps=10_000_000))
        yield {}

    run.do("training", rows)
    assert "of 10000000 by SIGUSR2" in stored(run)["training"]["stopped"] and not run.stopped


def test_a_signal_of_a_person_ends_all_stages(run):
    def rows():
        with run.stopping_training():
            os.kill(os.getpid(), signal.SIGTERM)
        yield {}

    run.do("a", rows)
    run.do("b", lambda: pytest.fail("begun"))
    assert stored(run)["a"]["stopped"] == "stopped by SIGTERM"
    assert stored(run)["b"]["skipped"] == "a signal stopped the command"


def test_a_reminder_that_has_ended_sends_nothing(monkeypatch):
    sent = []
    monkeypatch.setattr(os, "kill", lambda *arguments: sent.append(arguments))
    reminder = Reminder(0)
    reminder.end()
    reminder.run()
    assert not sent


def test_a_record_is_stored_and_found_again_for_the_same_run(run):
    record = make_record("none", n=4)
    record["params"] = RunParams(n=4, strategy="none", seeds="0-2").resolved()
    assert run.store_record("a", record) == "records/a.json"
    params = RunParams(**record["params"])
    assert run.record_of("a", params)["results"] == record["results"]
    assert run.record_of("a", RunParams(**record["params"] | {"n": 5})) is None
    assert run.record_of("b", params) is None


def test_a_record_that_nobody_could_read_is_refused(run):
    with pytest.raises(RecordError, match="results is missing"):
        run.store_record("a", {name: value for name, value in make_record().items() if name != "results"})
    assert not list((run.folder / "records").iterdir())


def test_all_files_together_stay_below_the_limit(run, monkeypatch):
    monkeypatch.setattr(staged_run, "LARGEST_OUTPUT", 60_000)
    run.store_record("a", make_record())
    run.store_record("a", make_record())  # in its place
    with pytest.raises(SkippedStage, match="c.json: all files together"):
        for name in "bc":
            run.store_record(name, make_record())
    assert sum(file.stat().st_size for file in run.folder.rglob("*.json")) < 60_000
