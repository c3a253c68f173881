"""Random streams: apart by name and seed, alike across stacks, and continued from where they stood."""

import pytest
import torch
from tiny import CPU, same_bits

from anm.streams import NAMES, Streams, stream_seed


def test_every_stream_of_every_seed_is_its_own():
    seeds = [stream_seed(name, seed) for name in NAMES for seed in range(200)]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**63 for seed in seeds)
    streams = Streams((0, 1), CPU)
    draws = torch.cat([streams.normal(name, 50) for name in NAMES])
    assert len(torch.unique(draws)) == draws.numel()


@pytest.mark.parametrize("stack", [(7,), (7, 0, 3), (1, 2, 7)])
def test_a_seed_draws_the_same_in_every_stack(stack):
    alone, together, at = Streams((7,), CPU), Streams(stack, CPU), stack.index(7)
    for name in NAMES:
        for draw in (lambda s: s.normal(name, 5, 3), lambda s: s.uniform(name, 4), lambda s: s.integers(name, 10, 6)):
            assert torch.equal(draw(together)[at], draw(alone)[0])


def test_drawing_from_one_stream_moves_no_other():
    greedy, modest = Streams((0, 1), CPU), Streams((0, 1), CPU)
    for _ in range(5):
        greedy.normal("miner", 1000)
        greedy.integers("contrast", 3, 17)
        for name in ("problems", "noise"):
            assert torch.equal(greedy.normal(name, 9), modest.normal(name, 9))


def test_a_stream_goes_on_from_where_it_stood():
    streams = Streams((0, 5), CPU)
    streams.normal("noise", 3)  # an odd number: the generator keeps half a pair of normals
    state = streams.state()
    after = [streams.normal(name, 7) for name in NAMES]
    other = Streams((0, 5), CPU)
    other.restore(state)
    assert same_bits([other.normal(name, 7) for name in NAMES], after)


def test_a_state_of_another_stack_is_not_taken():
    with pytest.raises(ValueError):
        Streams((0, 1), CPU).restore(Streams((0,), CPU).state())


def test_the_distributions():
    streams = Streams((3, 4), CPU)
    normal, uniform, integers = (
        streams.normal("noise", 50_000),
        streams.uniform("problems", 50_000),
        streams.integers("noise", 10, 50_000),
    )
    for row in normal:
        assert abs(row.mean()) < 0.02 and abs(row.std() - 1) < 0.02
    for row in uniform:
        assert (
            -1 <= row.min() < -0.999
            and 0.999 < row.max() < 1
            and abs(row.mean()) < 0.01
            and abs(row.square().mean() - 1 / 3) < 0.01
        )
    for row in integers:
        assert row.dtype == torch.int64 and torch.bincount(row).tolist() == pytest.approx([5000] * 10, abs=350)
    assert normal.dtype == uniform.dtype == torch.float32 and normal.shape == (2, 50_000)


def test_a_draw_does_not_depend_on_torch_s_own_generator():
    torch.manual_seed(1)
    first = Streams((0,), CPU).normal("problems", 5)
    torch.manual_seed(2)
    assert torch.equal(Streams((0,), CPU).normal("problems", 5), first)
