"""The model card: every number of a checkpoint's section is its notebook's, and the committed card is current."""

from pathlib import Path

import pytest
from records import make_record, write_notebook

import anm
from anm.exports import export_folder
from anm.exports.model_card import CARD, three
from anm.params import ParamError

RECORDED = Path(__file__).resolve().parents[2] / "reports" / "cpu"


@pytest.fixture
def card(tmp_path):
    """The card of a folder in which one of two runs has a checkpoint."""
    record = make_record("none", energy="bilinear", n=20, mse=[0.011, 0.012, 0.019], learning_rate=0.005)
    write_notebook(tmp_path / "kept.ipynb", record)
    write_notebook(tmp_path / "other.ipynb", make_record("random"))
    (tmp_path / "kept.pt").write_bytes(b"weights")
    export_folder("model-card", tmp_path, tmp_path)
    return (tmp_path / CARD).read_text()


def test_it_has_the_energy_with_its_scores_references_and_origin(card):
    assert "## kept" in card and "## other" not in card and 'anm.load("kept")' in card
    assert "| this energy | 256 | 0.0110, 0.0120, 0.0190 |" in card
    assert "| affine, without training (least squares) | 4000 | 0.00955 | 0.206 |" in card
    assert "learning rate 0.005" in card and "commit 0123456789abcdef" in card
    assert "SHA-256 `9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c`" in card  # of b"weights"
    assert "n = 80, `harder`: error" in card and "n = 20, `harder`: error" not in card


def test_a_seed_that_was_lost_is_named():
    assert three([0.2, None, 0.1]) == "0.100, 0.150, 0.200; 1 seed not finite"
    assert three([None, None]) == "not finite"


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    write_notebook(tmp_path / "one.ipynb")
    with pytest.raises(ParamError, match="no checkpoint <run>.pt beside a notebook"):
        export_folder("model-card", tmp_path, tmp_path)


def test_the_committed_card_is_that_of_the_committed_notebooks(tmp_path):
    export_folder("model-card", RECORDED, tmp_path)
    assert (tmp_path / CARD).read_text() == (RECORDED / CARD).read_text()
    for name in ("none-bilinear", "none-residual"):
        assert f"## {name}\n" in (RECORDED / CARD).read_text()
        solver = anm.load(name, device="cpu")  # by the name that the card gives
        assert solver.params.energy == name.removeprefix("none-")
