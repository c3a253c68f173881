"""Connectivity: graphs, reachability against another algorithm, and longer paths in harder ones."""

import networkx
import numpy as np
import pytest
import torch
from task_checks import check_frozen, check_mean, draw_many

import anm
from anm.tasks.connectivity import squared_reach, squarings

TASK = anm.tasks.get("connectivity")


def graphs(problem):
    return [networkx.from_numpy_array((A > 0).numpy().astype(int)) for A in problem.flatten(0, 1)]


@pytest.mark.parametrize("n", [3, 4, 8, 13])
@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_reachability_is_that_of_breadth_first_search(n, difficulty):
    problem, answer = draw_many(TASK, n, difficulty, batch=30)
    for graph, reach in zip(graphs(problem), answer.flatten(0, 1)):
        expected = np.full((n, n), -1.0)
        for nodes in networkx.connected_components(graph):
            expected[np.ix_(list(nodes), list(nodes))] = 1
        assert np.array_equal(reach.numpy(), expected)


def test_adjacency_is_symmetric_without_loops_and_has_the_stated_density():
    problem, _ = draw_many(TASK, 8, 0.0)
    assert torch.equal(problem, problem.mT) and set(problem.unique().tolist()) == {-1.0, 1.0}
    assert (problem.diagonal(dim1=-2, dim2=-1) == -1).all()
    upper = problem[..., *torch.triu_indices(8, 8, 1)]
    check_mean((upper > 0).double(), 1.2 / 8)
    check_mean(((upper[..., 0] > 0) & (upper[..., 1] > 0)).double(), (1.2 / 8) ** 2)


def test_harder_graphs_are_pieces_of_paths_and_have_longer_paths():
    def longest(problem):
        return np.mean(
            [max(max(d.values()) for _, d in networkx.all_pairs_shortest_path_length(g)) for g in graphs(problem)]
        )

    same, harder = (draw_many(TASK, 8, TASK.splits[split], batch=200)[0] for split in ("same", "harder"))
    assert (harder > 0).sum(-1).max() == 2
    check_mean((harder > 0).double().sum((-2, -1)) / 2, 7 * 0.85)
    assert longest(harder) > longest(same) + 1


def test_scores_count_entries_and_whole_graphs():
    problem, answer = draw_many(TASK, 4, 0.0, batch=2, seeds=(0,))
    wrong = answer.clone()
    wrong[0, 0, 1, 2] *= -0.1
    scores = TASK.other_scores(problem, wrong, answer)
    assert scores["entries_wrong"].tolist() == [[1 / 16, 0]] and scores["solved"].tolist() == [[0, 1]]
    assert TASK.violation(problem, wrong).tolist() == [[1 / 16, 0]]


def test_repeated_squaring_is_exact_and_once_is_not():
    problem, answer = (part[0].numpy() for part in draw_many(TASK, 8, 1.0, batch=100))
    assert np.array_equal(squared_reach(problem, squarings(8)), answer)
    assert not np.array_equal(squared_reach(problem, 1), answer)


def test_two_nodes_are_too_few():
    with pytest.raises(ValueError, match="n = 2"):
        TASK.shapes(2)


def test_frozen_problems_are_the_same_at_every_size():
    check_frozen(TASK, 8)
