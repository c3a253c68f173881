"""Long tables against the records they come from."""

import numpy as np
import pandas as pd
import pytest
from records import make_record

from anm.analysis import tidy_tables


@pytest.fixture
def records():
    return {"a.ipynb": make_record("none", seeds=(3, 5)), "b.ipynb": make_record("adversarial", seeds=(3, 5, 7))}


def test_order_is_the_studys_then_by_name():
    assert tidy_tables.in_order(["zeta", "adversarial", "alpha", "none", "none"]) == [
        "none",
        "adversarial",
        "alpha",
        "zeta",
    ]
    assert tidy_tables.in_order(["residual", "mlp", "direct"]) == ["mlp", "residual", "direct"]


def test_each_row_has_its_own_seeds_number(records):
    table = tidy_tables.learning(records)
    curves = records["b.ipynb"]["curves"]
    mine = table[(table["run"] == "b.ipynb") & (table["seed"] == 7)]
    assert mine["mse"].tolist() == [row[2] for row in curves["mse_same"]]
    assert mine["step"].tolist() == curves["mse_step"]
    assert len(table) == len(curves["mse_step"]) * 5


def test_losses_have_a_row_a_term_and_null_becomes_nan(records):
    table = tidy_tables.loss_curves(records)
    contrast = table[(table["term"] == "contrast")].groupby("run")["value"]
    assert contrast.count().to_dict() == {"a.ipynb": 0, "b.ipynb": 18}
    assert set(table["term"]) == {"loss", "denoise", "contrast", "grad_norm"}


def test_landscape_steps_have_a_row_per_split(records):
    entry = records["a.ipynb"]["results"]["landscape_steps"][3]
    table = tidy_tables.landscape_steps(records).query("run == 'a.ipynb' and seed == 5 and steps == @entry['steps']")
    assert table.set_index("split")["mse"].to_dict() == {"same": entry["same"][1], "harder": entry["harder"][1]}


def test_conditions_have_a_row_a_bin_with_its_edges(records):
    bins = records["a.ipynb"]["results"]["harder"]["by_condition"]
    table = tidy_tables.conditions(records).query("run == 'a.ipynb' and seed == 3 and split == 'harder'")
    assert table[["low", "high"]].values.tolist() == [list(edge) for edge in zip(bins["edges"], bins["edges"][1:])]
    assert table["mse"].tolist() == [row[0] for row in bins["mse"]]


def test_ladder_and_solving(records):
    rungs = tidy_tables.ladder(records).query("run == 'b.ipynb' and seed == 7")
    assert rungs["mse"].tolist() == [rung["mse"][2] for rung in records["b.ipynb"]["results"]["ladder"]]
    walk = records["b.ipynb"]["landscape"]
    levels = tidy_tables.solving(records).query("run == 'b.ipynb' and seed == 7")
    assert levels["level"].tolist() == walk["level"]
    assert levels["energy_after"].tolist() == [row[2] for row in walk["energy_after"]]


def test_mining_averages_the_last_share_of_training_alone(records):
    by_level = records["b.ipynb"]["curves"]["by_level"]
    table = tidy_tables.mining(records, share=0.34)
    assert set(table["run"]) == {"b.ipynb"}, "none has no negatives"
    mine = table
    np.testing.assert_allclose(mine["distance"], np.mean(by_level["distance"][-2:], axis=0))
    np.testing.assert_allclose(mine["accepted"], np.mean(by_level["accepted"][-2:], axis=0))


def test_provenance_names_machine_and_code(records):
    row = tidy_tables.provenance_columns(records).set_index("run").loc["b.ipynb"]
    assert row["host"] == "test-host" and row["commit"].startswith("0123456") and row["seconds"] == 12.5


def test_unknown_provenance_is_none_not_nan(records):
    records["a.ipynb"]["provenance"]["machine"]["gpu"] = "H100"
    records["a.ipynb"]["provenance"] |= {"git_commit": None, "git_dirty": None, "seconds": None}
    table = tidy_tables.provenance_columns(records).set_index("run")
    assert table.loc["a.ipynb", "gpu"] == "H100" and table.loc["b.ipynb", "gpu"] is None
    assert all(table.loc["a.ipynb", name] is None for name in ("commit", "dirty", "seconds"))


@pytest.mark.parametrize(
    "table",
    [
        tidy_tables.learning,
        tidy_tables.loss_curves,
        tidy_tables.landscape_steps,
        tidy_tables.conditions,
        tidy_tables.ladder,
        tidy_tables.solving,
        tidy_tables.mining,
    ],
)
def test_no_records_give_an_empty_table_with_its_columns(table):
    empty = table({})
    assert empty.empty and {"run", "energy", "strategy"} <= set(empty)


def test_every_table_knows_all_strategies(records):
    table = tidy_tables.mining(records)
    assert isinstance(table["strategy"].dtype, pd.CategoricalDtype)
    assert list(table["strategy"].cat.categories) == ["none", "adversarial"]
