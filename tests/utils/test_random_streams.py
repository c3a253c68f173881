"""Random streams: independent by name and seed, equal across stacks, restored from a state."""

import pytest
import torch
from tiny import CPU, same_bits

from anm.utils.random_streams import NAMES, RandomStreams, stream_seed


def test_every_stream_of_every_seed_differs():
    seeds = [stream_seed(name, seed) for name in NAMES for seed in range(200)]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**63 for seed in seeds)
    streams = RandomStreams((0, 1), CPU)
    draws = torch.cat([streams.normal(name, 50) for name in NAMES])
    assert len(torch.unique(draws)) == draws.numel()


@pytest.mark.parametrize("stack", [(7,), (7, 0, 3), (1, 2, 7)])
def test_the_draws_of_a_seed_do_not_depend_on_its_stack(stack):
    alone, together, at = RandomStreams((7,), CPU), RandomStreams(stack, CPU), stack.index(7)
    for name in NAMES:
        for kind, arguments in {"normal": (5, 3), "uniform": (4,), "integers": (10, 6)}.items():
            draws = [getattr(streams, kind)(name, *arguments) for streams in (together, alone)]
            assert torch.equal(draws[0][at], draws[1][0])


def test_a_draw_from_one_stream_does_not_change_the_others():
    many, few = RandomStreams((0, 1), CPU), RandomStreams((0, 1), CPU)
    for _ in range(5):
        many.normal("miner", 1000)
        many.integers("contrast", 3, 17)
        for name in ("problems", "noise"):
            assert torch.equal(many.normal(name, 9), few.normal(name, 9))


def test_a_restored_stream_continues_with_the_same_draws():
    streams = RandomStreams((0, 5), CPU)
    streams.normal("noise", 3)  # an odd number: the generator keeps half a pair of normals
    state = streams.state()
    after = [streams.normal(name, 7) for name in NAMES]
    other = RandomStreams((0, 5), CPU)
    other.restore(state)
    assert same_bits([other.normal(name, 7) for name in NAMES], after)


def test_the_state_of_another_stack_is_rejected():
    with pytest.raises(ValueError):
        RandomStreams((0, 1), CPU).restore(RandomStreams((0,), CPU).state())


def test_the_distributions():
    streams = RandomStreams((3, 4), CPU)
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


def test_a_draw_does_not_depend_on_torch_s_global_generator():
    torch.manual_seed(1)
    first = RandomStreams((0,), CPU).normal("problems", 5)
    torch.manual_seed(2)
    assert torch.equal(RandomStreams((0,), CPU).normal("problems", 5), first)
