"""Baselines without an energy: closed forms, classical iterations, feed-forward networks, published results."""
