"""Connectivity of graphs: which nodes can reach which others, as matrices."""

import numpy as np
import torch
from torch import Tensor

from anm.tasks.base import Draws, Reference, Shape, Task
from anm.utils.device import precision

MEAN_DEGREE = 1.2  # an edge has probability MEAN_DEGREE / n
PATH_EDGE = 0.85  # probability of an edge between neighbours of the order, where difficulty is 1


class Connectivity(Task):
    """The problem is the adjacency matrix of a graph, the answer its reachability; entries are -1 (no) and 1 (yes).

    Edges have no direction; a node reaches itself but has no edge to itself. The nodes have a random order. With
    d the difficulty and p = 1.2 / n, an edge between neighbours of that order has probability p + d (0.85 - p), any
    other p (1 - d). At d = 0 it is the random graph of Erdos and Renyi, at d = 1 pieces of one path, so that paths are
    longer at the same n. IRED (arXiv 2406.11179) draws its graphs otherwise: 12 points in a square, each with edges to
    its one or two nearest others (`connectivity-2` of the released code).
    """

    name = "connectivity"
    splits = {"same": 0.0, "harder": 1.0}
    difficulty = "share of path"
    answer_bound = 1.0
    picture = "graph"
    sizes = (8, 12, 20)
    right_below = 1e-9  # every entry must be right
    references = (
        Reference("squared once", "classical", lambda A, X: lambda A: squared_reach(A, 1), products=1),
        Reference("repeated squaring", "limit", lambda A, X: lambda A: squared_reach(A, squarings(A.shape[-1]))),
    )

    def shapes(self, n: int) -> tuple[Shape, Shape]:
        """Adjacency, and reachability. Raises `ValueError` below 3 nodes."""
        if n < 3:
            raise ValueError(f"n = {n}: connectivity needs at least 3 nodes")
        return (n, n), (n, n)

    def draw(self, draws: Draws, batch: int, n: int, difficulty: float) -> tuple[Tensor, Tensor]:
        """Adjacency and reachability, each (S, batch, n, n)."""
        chance = 0.5 * (draws.uniform(batch, n, n) + 1)
        place = draws.uniform(batch, n)
        place = (place[..., None] > place[..., None, :]).sum(-1, dtype=place.dtype)  # of each node in the order
        neighbours = (place[..., None] - place[..., None, :]).abs() == 1
        p = MEAN_DEGREE / n
        probability = torch.where(neighbours, p + difficulty * (PATH_EDGE - p), p * (1 - difficulty))
        edge = (chance < probability).triu(1)
        edge = edge | edge.mT
        return 2.0 * edge - 1, 2.0 * reach(edge, squarings(n)) - 1

    def violation(self, problem: Tensor, x0: Tensor) -> Tensor:
        """The share of entries whose sign is wrong."""
        right = reach(problem > 0, squarings(problem.shape[-1]))
        return ((x0 > 0) != right).flatten(2).float().mean(-1)

    def other_scores(self, problem: Tensor, x0: Tensor, answer: Tensor) -> dict[str, Tensor]:
        """entries_wrong: the share of entries whose sign is wrong; solved: 1 where the whole graph is right."""
        wrong = ((x0 > 0) != (answer > 0)).flatten(2).float().mean(-1)
        return {"entries_wrong": wrong, "solved": (wrong == 0).to(wrong.dtype)}


def squarings(n: int) -> int:
    """How often the graph's matrix must be squared: a path has at most n - 1 edges."""
    return max(1, (n - 2).bit_length())


def reach(edge: Tensor, times: int) -> Tensor:
    """Pairs of nodes that a path of at most 2^times edges joins, bool, of the shape of `edge` (..., n, n)."""
    paths = (edge | torch.eye(edge.shape[-1], dtype=torch.bool, device=edge.device)).float()
    with precision("float32"):
        for _ in range(times):
            paths = (paths @ paths).clamp_(max=1)
    return paths > 0


def squared_reach(A: np.ndarray, times: int) -> np.ndarray:
    """`reach` as an answer of -1 and 1 to problems (N, n, n)."""
    return 2.0 * reach(torch.from_numpy(A) > 0, times).numpy() - 1
