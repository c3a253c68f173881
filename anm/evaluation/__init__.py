"""Evaluation of a solver: scores on frozen problems, generalization, example answers."""
