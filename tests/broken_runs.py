"""Trainings that break off at chosen steps and resume, as after power failures."""

import pytest
from tiny import silent_train

from anm.solvers.solver import Solver
from anm.training import loop
from anm.training.step import training_step


class Break(Exception):
    """Stands for a power failure."""


def broken_at(steps, params, monkeypatch, **options) -> Solver:
    """Train to the end, with a break before each of these steps, counted as `state.step`."""
    for last in steps:

        def step_until(state, last=last):
            if state.step == last:
                raise Break
            training_step(state)

        with monkeypatch.context() as patch, pytest.raises(Break):
            patch.setattr(loop, "training_step", step_until)
            silent_train(params, **options)
    return silent_train(params, **options)
