"""Sentences that the tables of observations end with."""

import pandas as pd

from anm.report.observations import undescended_seeds


def errors(by_seed: dict[int, dict[int, float]], strategy: str = "none") -> pd.DataFrame:
    rows = [("mlp", strategy, seed, steps, e) for seed, per in by_seed.items() for steps, e in per.items()]
    return pd.DataFrame(rows, columns=["energy", "strategy", "seed", "steps", "mse"])


LIKE = {1: 0.010, 2: 0.010, 5: 0.010}


def test_a_seed_that_needs_more_steps_than_the_others_is_named():
    far = {1: 0.075, 2: 0.014, 5: 0.010}
    rows = pd.concat([errors({0: LIKE, 1: LIKE, 4: far}), errors({0: LIKE, 1: LIKE, 4: LIKE}, "random")])
    (said,) = undescended_seeds(rows, 5)
    assert said.startswith(
        "mlp, none: with 1 landscape step per level, seed 4 has an error of 0.0750, the median is 0.0"
    )


def test_a_seed_that_is_bad_with_all_steps_or_good_with_few_is_not():
    bad, good = {1: 0.075, 2: 0.075, 5: 0.075}, {1: 0.001, 2: 0.001, 5: 0.001}
    assert undescended_seeds(errors({0: LIKE, 1: LIKE, 4: bad, 5: good}), 5) == []


def test_without_fewer_steps_or_the_standard_number_nothing_is_said():
    far = {1: 0.075, 5: 0.010}
    assert undescended_seeds(errors({0: LIKE, 1: LIKE, 4: far}), 1) == []
    assert undescended_seeds(errors({0: LIKE, 1: LIKE, 4: far}), 3) == []
