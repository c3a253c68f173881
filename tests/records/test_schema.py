"""The check of a record, entry by entry."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from records import make_record

from anm.params import RunParams
from anm.records.schema import RecordError, check_record, clean, plain


def changed(path: str, value, record=None):
    """A valid record with one entry replaced; `path` as in "results.same.mse"."""
    record = copy.deepcopy(record or make_record())
    *names, last = path.split(".")
    part = record
    for name in names:
        part = part[int(name) if name.isdigit() else name]
    part[int(last) if last.isdigit() else last] = value
    return record


def with_budgets():
    """A valid record with two budget points and the compute of a step."""
    record, seeds = make_record(), 3
    scores = {"mse": [0.1] * seeds, "scaled": [0.1] * seeds, "scale": [1.0] * seeds, "errors": "AAAA"}
    point = {"share": 0.5, "steps": 250, "flops": 10**15, "problems": 2, "same": scores}
    record["results"]["budgets"] = [point, point | {"share": 1, "steps": 500, "harder": scores}]
    record["compute"] = {"step_flops": 4 * 10**12, "baseline_flops": 10**12, "steps": 500}
    return json.loads(json.dumps(record))  # without parts that are one object


@pytest.mark.parametrize("strategy", ["none", "random", "adversarial"])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2), (3, 8)])
def test_valid_records_pass(strategy, seeds):
    check_record(make_record(strategy, seeds, noise_levels=7, points=3))
    check_record(json.loads(json.dumps(make_record(strategy, seeds))))


def test_the_synthetic_record_has_every_parameter():
    assert set(make_record()["params"]) == set(RunParams.model_fields)


def test_budget_points_and_compute_may_be_there():
    check_record(with_budgets())


@pytest.mark.parametrize(
    "path, value, said",
    [
        ("compute.steps", None, "compute.steps = None"),
        ("compute.step_flops", -1, "compute.step_flops = -1"),
        ("compute", [], "compute is list, not dict"),
        ("results.budgets", {}, "results.budgets is dict, not list"),
        ("results.budgets.0.steps", 2.5, "results.budgets[0].steps = 2.5"),
        ("results.budgets.0.share", -1.0, "results.budgets[0].share = -1.0"),
        ("results.budgets.0.same.mse", [0.1], "results.budgets[0].same.mse has 1 entries where 3 belong"),
        ("results.budgets.1.harder.scale", [1.0] * 4, "results.budgets[1].harder.scale has 4 entries where 3 belong"),
        ("results.budgets.1.same.errors", [0.1], "results.budgets[1].same.errors"),
        ("results.budgets.1.same", None, "results.budgets[1].same is NoneType, not dict"),
    ],
)
def test_a_wrong_budget_point_is_named(path, value, said):
    with pytest.raises(RecordError) as caught:
        check_record(changed(path, value, with_budgets()))
    assert said in str(caught.value)


def test_unknown_entries_are_ignored():
    record = make_record()
    record["later"] = {"anything": [1, "two"]}
    record["results"]["same"]["median"] = [0.1]
    check_record(record)


@pytest.mark.parametrize(
    "path",
    [
        "results.same.mse.1",
        "curves.loss.0.0",
        "landscape.accepted.2.1",
        "provenance.git_commit",
        "provenance.machine.gpu",
        "provenance.seconds",
        "curves.by_level.distance",
    ],
)
def test_null_is_allowed_for_unknown_values(path):
    check_record(changed(path, None))


@pytest.mark.parametrize(
    "path, value, said",
    [
        ("schema", 2, "schema is 2"),
        ("schema", "1", "schema is '1'"),
        ("params", None, "params is NoneType"),
        ("params.seeds", "9-0", "params.seeds = '9-0'"),
        ("params.seeds", "0-9", "has 3 entries where 10 belong"),
        ("params.strategy", 7, "params.strategy = 7: must be a valid string"),
        ("params.train_steps", -1, "params.train_steps = -1: must be greater than or equal to 0"),
        ("params.n", True, "params.n = True"),
        ("params.noise_levels", 11, "has 10 entries where 11 belong"),
        ("results", [], "results is list, not dict"),
        ("results.harder", {}, "results.harder.offset is missing"),
        ("results.same.mse", [0.1, 0.2], "results.same.mse has 2 entries where 3 belong"),
        ("results.same.mse", 0.1, "results.same.mse is float, not list"),
        ("results.same.mse.1", -0.1, "results.same.mse[1] = -0.1: must be greater than or equal to 0"),
        ("results.same.mse.1", "0.1", "results.same.mse[1] = '0.1'"),
        ("results.same.mse.1", "nan", "results.same.mse[1] = 'nan'"),
        ("results.same.mse.1", math.nan, "must be null"),
        ("results.harder.residual.0", math.inf, "results.harder.residual[0] = inf"),
        ("results.same.mse.0", 10**400, "must be a valid number"),
        ("results.same.by_condition.edges", [1.0, 2.0], "edges has 2 entries where 4 belong"),
        ("results.ladder.1.mse", [0.1], "results.ladder[1].mse has 1 entries"),
        ("results.landscape_steps", {}, "results.landscape_steps is dict"),
        ("curves.loss.2", [1.0], "curves.loss[2] has 1 entries"),
        ("curves.step", [1, 2], "where 2 belong"),
        ("curves.by_level.accepted", [[1.0]], "curves.by_level.accepted has 1 entries"),
        ("landscape.level.0", 1.5, "landscape.level[0] = 1.5: must be a valid integer"),
        ("provenance.git_dirty", "no", "provenance.git_dirty"),
        ("provenance.machine", "laptop", "provenance.machine is str"),
        ("later", {"deep": ["Infinity"]}, "later.deep[0] = 'Infinity'"),
    ],
)
def test_a_wrong_entry_is_named(path, value, said):
    with pytest.raises(RecordError) as caught:
        check_record(changed(path, value))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "schema",
        "params",
        "provenance",
        "results",
        "curves",
        "landscape",
        "results.same.mse_se",
        "provenance.device",
        "curves.by_level",
        "curves.mse_same",
        "params.seeds",
    ],
)
def test_a_missing_entry_is_named(path):
    record = make_record()
    *names, last = path.split(".")
    part = record
    for name in names:
        part = part[name]
    del part[last]
    with pytest.raises(RecordError, match=last):
        check_record(record)


@pytest.mark.parametrize("record", [None, [], "record", 3])
def test_a_record_that_is_not_a_mapping_is_refused(record):
    with pytest.raises(RecordError, match="schema"):
        check_record(record)


def test_clean_gives_plain_json_values():
    raw = {
        "a": np.array([1.0, np.nan]),
        "b": torch.tensor([[1, 2]]),
        "c": (np.float32(0.5), np.int64(3), np.bool_(True)),
        "d": float("-inf"),
        4: None,
    }
    assert clean(raw) == {"a": [1.0, None], "b": [[1, 2]], "c": [0.5, 3, True], "d": None, "4": None}
    json.dumps(clean(raw), allow_nan=False)


def test_plain_gives_one_short_line_of_visible_characters():
    assert plain("\x1b[31mred\x1b[0m\n  and\x00 more\u202e") == "red and more"
    assert len(plain("x" * 1000)) == 400
    assert plain("<b>&") == "<b>&"
