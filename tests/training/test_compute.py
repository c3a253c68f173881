"""Counted compute: a step against a count by hand, and trainings of equal compute."""

import pytest
from broken_runs import broken_at
from tiny import narrow, same_bits, silent_train, tiny  # noqa: F401

from anm.params import RunParams
from anm.training.compute import step_flops, training_compute
from anm.training.loop import train

LEVELS, WIDTH, BATCH, EMBEDDING, N = 4, 32, 8, 128, 3  # of the runs below
INPUTS, OUTPUTS = 2 * N**2, N**2  # of task addition, which draws its problems without a matrix product
HIDDEN, ENDS = BATCH * WIDTH**2, BATCH * WIDTH * OUTPUTS  # multiplications of a hidden layer; of the first or last one


def adding(folder, strategy, **settings) -> RunParams:
    return tiny(folder, task="addition", n=N, strategy=strategy, **settings)


def denoising_products() -> int:
    """Multiplications in a step of `none`. A product has two more in its backward pass, one for each factor."""
    embedding = LEVELS * EMBEDDING**2  # each of the two layers of the embedding; the first has constant inputs
    gains = LEVELS * EMBEDDING * 2 * WIDTH  # each of the layers for gains and biases of layers 2 and 3
    lookups = 4 * LEVELS * BATCH * WIDTH  # the gradients of two gains and two biases by level
    problem = BATCH * INPUTS * WIDTH  # constant inputs
    encoded = (2 + 3) * embedding + 2 * (1 + 2) * gains + lookups + (1 + 1) * problem
    # Four hidden and four outer products of energy and gradient; x_t is constant, so the first has one gradient
    return encoded + (4 + 8) * HIDDEN + (4 + 7) * ENDS


def energy_products() -> int:
    """Multiplications of an energy without its gradient in x_t: two hidden, two outer products, and their gradients."""
    return (2 + 4) * HIDDEN + (2 + 3) * ENDS


def test_a_step_of_each_strategy_by_hand(tmp_path):
    none, contrast = denoising_products(), 2 * energy_products()
    assert step_flops(adding(tmp_path, "none")) == 2 * none
    assert step_flops(adding(tmp_path, "random")) == 2 * (none + contrast)
    for steps in (1, 2, 10):  # each but the last evaluation of the search gives a gradient; none of them trains
        search = steps * (4 * HIDDEN + 4 * ENDS) + (2 * HIDDEN + 2 * ENDS)
        found = step_flops(adding(tmp_path, "adversarial", mining_opt_steps=steps))
        assert found == 2 * (none + contrast + search)


def test_the_products_of_drawing_problems_count(tmp_path):
    """Inversion: A = 2 R R^T + c I, one product of n x n matrices for each problem; and its inputs are n^2."""
    fewer_inputs = 2 * BATCH * N**2 * WIDTH
    found = step_flops(tiny(tmp_path, n=N, strategy="none"))
    assert found == 2 * (denoising_products() - fewer_inputs + BATCH * N**3)


def test_fewer_rows_with_negatives_cost_less(tmp_path):
    costs = [step_flops(tiny(tmp_path, batch_size=64, negative_share=share)) for share in (1, 0.5, 0.25)]
    assert costs == sorted(costs, reverse=True) and len(set(costs)) == 3
    assert costs[-1] > step_flops(tiny(tmp_path, batch_size=64, strategy="none"))


OTHERS = {
    "seeds": "3-7",
    "learning_rate": 0.01,
    "contrastive_weight": 2,
    "contrastive_warmup": 5,
    "schedule": "wsd",
    "train_steps": 99,
    "test_problems": 30,
    "test_set": 2,
    "evaluation": "scores",
    "landscape_steps": 3,
    "checkpoint_dir": "elsewhere",
    "resume": False,
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_length_of_a_budget_does_not_depend_on_what_costs_nothing(name, tmp_path):
    usual, other = (training_compute(tiny(tmp_path, budget_steps=500, **more)) for more in ({}, {name: OTHERS[name]}))
    assert usual == other and usual.steps < 500 and usual.step_flops > usual.baseline_flops


STRATEGIES = ("none", "random", "adversarial", "pgd", "hardest_of_k", "replay", "one_step", "pool")


@pytest.mark.parametrize("budget", [7, 100, 12_345])
def test_strategies_at_one_budget_differ_by_less_than_a_step(budget, tmp_path):
    computes = {name: training_compute(tiny(tmp_path, strategy=name, budget_steps=budget)) for name in STRATEGIES}
    baseline = computes["none"].step_flops
    assert computes["none"].steps == budget and {each.baseline_flops for each in computes.values()} == {baseline}
    for name, compute in computes.items():
        assert 0 <= budget * baseline - compute.steps * compute.step_flops < compute.step_flops, name
    assert len({compute.steps for compute in computes.values()}) > 3 or budget == 7


def test_a_budget_below_one_step_allows_one():
    assert training_compute(RunParams(n=3, width=16, mining_opt_steps=20, budget_steps=1)).steps == 1


def test_without_a_budget_the_number_of_steps_is_given(tmp_path):
    compute = training_compute(tiny(tmp_path, train_steps=30, budget_points="0.25,0.5,1"))
    assert compute.steps == 30 and compute.points == (7, 15, 30)


def test_the_points_of_a_budget_are_shares_of_its_steps(tmp_path):
    none = training_compute(tiny(tmp_path, strategy="none", budget_steps=2000, budget_points="0.125,0.25,0.5,1"))
    arm = training_compute(tiny(tmp_path, budget_steps=1000, budget_points="0.25,0.5,1"))
    assert none.points == (250, 500, 1000, 2000) and arm.points[-1] == arm.steps
    for ours, theirs in zip(arm.points, none.points):
        assert 0 <= theirs * none.step_flops - ours * arm.step_flops < 2 * arm.step_flops
    assert training_compute(tiny(tmp_path, train_steps=3, budget_points="0.01,1")).points == (1, 3)


def test_a_training_has_the_steps_of_its_budget_and_the_log_says_so(tmp_path):
    lines, params = [], tiny(tmp_path, budget_steps=40, train_steps=3, answer_bound=100)
    solver = train(params, log=lines.append)
    compute = training_compute(params)
    assert solver.step == compute.steps == solver.history["step"][-1] > 3
    cost = compute.step_flops / compute.baseline_flops
    assert lines[1].startswith(f"a step costs {cost:.2f} steps of none, ")
    assert lines[1].endswith(f" FLOPs per seed: {compute.steps} steps, the compute of 40 steps of none")


def test_a_resumed_run_of_a_budget_ends_as_one_in_one_go(tmp_path, monkeypatch):
    settings = {"budget_steps": 60, "schedule": "wsd"}
    whole = silent_train(tiny(tmp_path / "whole", **settings))
    broken = broken_at((1, 5, 13), tiny(tmp_path / "broken", **settings), monkeypatch, checkpoint_seconds=0)
    assert broken.step == whole.step == training_compute(tiny(tmp_path, **settings)).steps > 13
    assert same_bits(whole.model.state_dict(), broken.model.state_dict())
    assert str(whole.history) == str(broken.history) and broken.timing["resumed"] == 3
