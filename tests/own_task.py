"""A task of a user's own: problems are matrices, answers are vectors, and nobody can tell a right answer."""

import anm


class RowSums(anm.Task):
    """The answer to a matrix is the sums of its rows."""

    name = "row_sums"
    splits = {"harder": 2.0, "same": 1.0}

    def shapes(self, n):
        return (n, n), (n,)

    def draw(self, draws, batch, n, difficulty):
        A = difficulty * draws.uniform(batch, n, n)
        return A, A.sum(-1)
