"""Benchmark: a training step against its matrix products alone, and against a reference step."""
