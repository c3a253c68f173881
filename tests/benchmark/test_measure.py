"""The timing of a step: alternation, and an eager copy of a compiled state."""

import pytest
import torch

from anm.benchmark.measure import eager_copy, measure_step, time_in_alternation
from anm.params import RunParams
from anm.records.provenance import peak_memory_mib
from anm.training.state import TrainingState

CPU = torch.device("cpu")


def test_actions_alternate_and_the_first_round_is_not_counted():
    order = []
    seconds = time_in_alternation({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, CPU, 3)
    assert order == ["a", "b"] * 4
    assert len(seconds["a"]) == len(seconds["b"]) == 3


def test_an_entry_is_consistent(tmp_path):
    params = RunParams(n=4, batch_size=8, seeds="0-1", device="cpu", compile="no", checkpoint_dir=str(tmp_path))
    entry = measure_step(params, 1, with_reference=True)
    assert entry["rows_per_s"] * entry["step_ms"] == pytest.approx(2 * 8 * 1e3)
    # One round: every ratio is that of the two times
    assert entry["fraction_of_floor"] == pytest.approx(entry["floor_ms"] / entry["step_ms"])
    assert entry["ratio_to_textbook"] == pytest.approx(entry["textbook_ms"] / entry["step_ms"])
    assert entry["gflops"] * entry["step_ms"] == pytest.approx(entry["floor_gflops"] * entry["floor_ms"])
    assert 0 < entry["peak_mib"] <= peak_memory_mib("cpu")
    assert "textbook_ms" not in measure_step(params, 1, with_reference=False)


def test_the_eager_copy_of_an_eager_state_is_the_state(tmp_path):
    params = RunParams(n=4, batch_size=8, seeds=0, device="cpu", compile="no", checkpoint_dir=str(tmp_path))
    state = TrainingState(params)
    assert eager_copy(state) is state
    state.compiled = True
    assert not eager_copy(state).compiled
