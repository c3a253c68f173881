"""Tasks: problems, their answers, and frozen test sets."""
