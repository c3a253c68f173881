"""Addition of two matrices: IRED's easiest task, which a linear map solves exactly."""

from torch import Tensor

from anm.tasks.base import Draws, Reference, Shape, Task
from anm.utils.rows import mean_square


class Addition(Task):
    """The problem is two n x n matrices R1 and R2, uniform on (-s, s); the answer is R1 + R2.

    Source: Du, Mao, Tenenbaum 2024 (arXiv 2406.11179), appendix A, and the data set released with it, where s is 1 and
    2.5. There answers are clipped to +-2, although those of `harder` reach +-5: pass `answer_bound` = 5 to avoid that.
    """

    name = "addition"
    splits = {"same": 1.0, "harder": 2.5}
    difficulty = "s"
    answer_bound = 5.0
    references = (Reference("sum", "limit", lambda problem, answer: lambda problem: problem.sum(1)),)

    def shapes(self, n: int) -> tuple[Shape, Shape]:
        """Two matrices; one."""
        return (2, n, n), (n, n)

    def draw(self, draws: Draws, batch: int, n: int, difficulty: float) -> tuple[Tensor, Tensor]:
        """R1 and R2 (S, batch, 2, n, n), and their sum."""
        problem = difficulty * draws.uniform(batch, 2, n, n)
        return problem, problem.sum(2)

    def violation(self, problem: Tensor, x0: Tensor) -> Tensor:
        """The root mean square of x0 - R1 - R2."""
        return mean_square(x0 - problem.sum(2)).sqrt()
