"""The record of a feed-forward network."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from anm.baselines.feed_forward import feed_forward_errors, train_feed_forward
from anm.params import RunParams
from anm.records.provenance import run_provenance
from anm.records.schema import SCHEMA, FeedForwardRecord, RecordError, check_record, clean
from anm.tasks import frozen_problems


def feed_forward_record(params: RunParams, log=print) -> dict:
    """The record of a feed-forward network: trained here, scored on the frozen problems."""
    started, clock = datetime.now(UTC), time.perf_counter()
    network = train_feed_forward(params, log)
    seconds = time.perf_counter() - clock
    times = {"train_seconds": seconds, "seconds_per_step": seconds / params.train_steps}
    source = run_provenance(params.torch_device(), started, **times)
    record = {"schema": SCHEMA, "layers": "bilinear", "params": params.resolved(), "provenance": source, "results": {}}
    task = params.task_object()
    for split, difficulty in task.splits.items():
        mse = feed_forward_errors(network, frozen_problems(task, params.n, difficulty, params.test_problems))
        record["results"][split] = {"offset": difficulty, "problems": params.test_problems, "mse": mse}
    return clean(record)


def read_feed_forward(path: Path) -> dict:
    """The record that `python -m anm.study.feed_forward` wrote. Raises `RecordError`, naming the file, on any other."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        check_record(record, FeedForwardRecord)
    except RecordError as error:
        raise RecordError(error.reason, path) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"cannot be read ({error})", path) from None
    return record
