"""The page of results: targets by hand, tables with every name."""

from anm.benchmark.gpu_tables import FULL, markdown, table, targets

STEP = {"mode": "graph", "precision": "tf32", "strategy": "none", "seeds": 10, "step_ms": 4.0, "fraction_of_floor": 0.4}
STAGES = {
    "first step": {"rows": [{"seconds": 31.0}], "seconds": 31},
    "steps": {
        "rows": [
            STEP,
            STEP | {"seeds": 1, "step_ms": 1.0},
            STEP | {"strategy": "random", "fraction_of_floor": 0.6},
            STEP | {"mode": "eager", "fraction_of_floor": 0.1},
            STEP | {"precision": "float32", "fraction_of_floor": 0.2},
            {"mode": "graph", "precision": "tf32", "skipped": "no"},
        ]
    },
    "pilot": {"rows": [{"run": "a", "mse_same": 0.1}, {"log_ratio": -0.002}, {"log_ratio": 0.001}]},
    "full": {"rows": [FULL | {"strategy": name, "seconds": 250.0} for name in ("none", "random", "adversarial")]},
}


def test_targets_by_hand():
    found = {row["target"]: (row["found"], row["reached"]) for row in targets(STAGES)}
    assert found == {
        "full study in TF32, s": (750, "yes"),
        "full study, longest strategy, s": (250, "yes"),
        "share of the product floor": (0.4, "no"),
        "ten seeds against one, ratio": (4, "yes"),
        "TF32 against float32, largest log ratio": (0.002, "yes"),
        "first step after start, s": (31, "no"),
    }


def test_what_was_not_measured_has_no_verdict():
    assert all(row["found"] is None and row["reached"] is None for row in targets({}))
    two = {"full": {"rows": STAGES["full"]["rows"][:2]}}
    assert targets(two)[0]["found"] is None  # a study without one of its strategies is no study
    short = {"full": {"rows": [row | {"steps": 50_000} for row in STAGES["full"]["rows"]]}}
    assert targets(short)[0]["found"] is None


def test_a_table_has_every_name_and_no_nested_value():
    text = table([{"a": 1, "b": [1, 2]}, {"c": 0.123456, "a": "x|y\nz"}])
    assert text.splitlines() == ["| a | c |", "| --- | --- |", "| 1 |  |", "| x\\|y z | 0.1235 |"]


def test_the_page_says_why_a_stage_is_not_complete():
    page = markdown({"gpu": None}, {"a": {"rows": [], "seconds": 3.2, "failed": "ValueError: no"}})
    assert "## a\n\n3 s. Failed: ValueError: no.\n" in page
