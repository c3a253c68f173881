"""A task: problems, their answers, and how wrong an answer is."""

import inspect
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Literal, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from anm.utils.random_streams import NumpyDraws
from anm.utils.rows import mean_square

Shape = tuple[int, ...]
Predict = Callable[[np.ndarray], np.ndarray]  # problems (N, *problem shape) -> answers (N, *answer shape)


class Draws(Protocol):
    """Random numbers for a batch: tensors with a leading axis of S seeds, each seed from its own stream."""

    def uniform(self, *shape: int) -> Tensor:
        """Uniform on [-1, 1), (S, *shape)."""

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1), (S, *shape)."""


class Reference(NamedTuple):
    """A way to answer without a trained network.

    fit(problems, answers) -> predict, in float64 numpy, on problems of `same` from the frozen fitting set.
    products: n x n matrix products per answer, where that is known. problems: the most that it is scored on.
    """

    name: str
    kind: Literal["constant", "least squares", "classical", "limit"]
    fit: Callable[[np.ndarray, np.ndarray], Predict]
    products: int | None = None
    problems: int | None = None


class Task:
    """Problems of one kind. A subclass sets the attributes and writes `shapes` and `draw`; the rest has defaults.

    name: as in `-p task`. answers: whether a problem has "one" right answer or "many". splits: the difficulty of
    `same`, which training draws, and of `harder`. difficulty: the name of that number. answer_bound: the largest
    absolute entry that an answer may need. score: the name of `error`. picture: how a problem is drawn.
    ladder: difficulties from easy to hard for a curve. right_below: a
    violation below this counts as a right answer in the log. sizes: every n of the floor table. settings: constructor
    argument -> parameter of a run. references: ways to answer without a trained network, beyond those of
    `anm.baselines.closed_form`.
    """

    name: str
    answers: Literal["one", "many"] = "one"
    splits: dict[str, float]
    difficulty: str = "difficulty"
    answer_bound: float = 2.0
    ladder: tuple[float, ...] = ()
    score: str = "MSE"
    picture: Literal["matrix", "graph"] = "matrix"
    right_below: float = 0.1
    sizes: tuple[int, ...] = (20,)
    settings: dict[str, str] = {}
    references: tuple[Reference, ...] = ()

    def shapes(self, n: int) -> tuple[Shape, Shape]:
        """(problem shape, answer shape) at size n. Raises `ValueError` where the task does not exist at this n."""
        raise NotImplementedError

    def draw(self, draws: Draws, batch: int, n: int, difficulty: float) -> tuple[Tensor, Tensor]:
        """Problems (S, batch, *problem shape) and answers x0 (S, batch, *answer shape), on the device of the draws."""
        raise NotImplementedError

    def description(self) -> str:
        """The task in words: the class's docstring, difficulties and score."""
        splits = ", ".join(f"{split}: {self.difficulty} = {value:g}" for split, value in self.splits.items())
        many = "one right answer" if self.answers == "one" else "many right answers"
        return f"{self.name}: {inspect.getdoc(type(self))}\n\n{splits}. Score: {self.score}. Problems have {many}."

    def error(self, problem: Tensor, x0: Tensor, answer: Tensor) -> Tensor:
        """The score of x0, per row (S, B): mean squared error over the entries, where there is one right answer."""
        return mean_square(x0 - answer)

    def violation(self, problem: Tensor, x0: Tensor) -> Tensor | None:
        """How wrong x0 is, judged without its answer, per row (S, B); 0 is right; None where nobody can tell."""
        return None

    def other_scores(self, problem: Tensor, x0: Tensor, answer: Tensor) -> dict[str, Tensor]:
        """Further scores by name, each per row (S, B)."""
        return {}

    def draw_frozen(
        self, random: np.random.Generator, block: int, count: int, n: int, difficulty: float
    ) -> tuple[Tensor, Tensor]:
        """Problems and answers for a frozen set: the first `count` of `block`, drawn in float64, in float32."""
        problem, answer = self.draw(NumpyDraws(random), block, n, difficulty)
        return problem[0, :count].float(), answer[0, :count].float()

    def condition(self, problem: np.ndarray) -> np.ndarray | None:
        """How ill-conditioned each problem is, (N,), to sort them by; None where the task has no such number."""
        return None

    def other_problems(self, n: int, problems: int) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        """Frozen problems that training never draws, by name: problems, answers and the sampler's noise."""
        return {}

    @property
    def frozen_key(self) -> tuple[int, ...]:
        """What sets the random numbers of this task's frozen problems apart from those of other tasks."""
        return (int.from_bytes(sha256(self.name.encode()).digest()[:4], "little"),)

    @property
    def verifiable(self) -> bool:
        """Whether `violation` tells right answers from wrong ones."""
        return type(self).violation is not Task.violation

    @cache  # noqa: B019  tasks are few and live as long as the process
    def check(self, n: int) -> None:
        """Raises `ValueError`, naming what is wrong, unless the task is complete and draws its own shapes at n."""
        kind = type(self).__name__
        for method in ("shapes", "draw"):
            if getattr(type(self), method) is getattr(Task, method):
                raise ValueError(f"{kind} lacks the method `{method}`")
        if not isinstance(getattr(self, "name", None), str):
            raise ValueError(f"{kind} lacks `name`, a text")
        splits = getattr(self, "splits", None)
        if not isinstance(splits, dict) or set(splits) != {"same", "harder"}:
            raise ValueError(f"{kind}: splits must be {{'same': number, 'harder': number}}, not {splits!r}")
        if () in self.shapes(n):
            raise ValueError(f"{kind}.shapes: problems and answers must have a dimension; that of a number is (1,)")
        shapes, drawn = self.shapes(n), self.draw(NumpyDraws(np.random.default_rng(0)), 2, n, splits["same"])
        for part, shape, tensor in zip(("problem", "answer"), shapes, drawn, strict=True):
            if tuple(tensor.shape) != (1, 2, *shape):
                expected = f"(S, B, {', '.join(map(str, shape))})"
                raise ValueError(f"{kind}.draw: {part}s must be {expected}, not {tuple(tensor.shape)} (S = 1, B = 2)")
