"""The report: what it says follows from the numbers, what is missing is in sight, records stay data, nothing is loaded."""

import base64
import json
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from conftest import missing as missing_tool
from records import make_record, write_notebook

from anm.page import anchor, drawing
from anm.plan import plan
from anm.record import RecordError
from anm.report import build_report, figures, gallery, gather, observations, products, tables, verdict
from anm.report.findings import missing
from anm.report.numbers import number, percent, span
from anm.report.words import DECLARED, details, plateau, prices, reproduced, scale

TEN = range(10)
NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
ATTACK = "<img src=x onerror=\"pwned('{}')\"></script><script>pwned('{}')</script>"


def study(folder, seeds=TEN, change=None, **more):
    """none and adversarial (and random) whose MSE differs by `change` (a share, or one for each seed)."""
    base = [0.01 * (1 + 0.001 * ((7 * seed) % 5 - 2)) for seed in seeds]
    for strategy, change in {"none": 0.0, "adversarial": change, **more}.items():
        if change is not None:
            changes = (
                change
                if isinstance(change, list)
                else [change + 1e-4 * ((3 * s) % 4 - 1.5) * (change != 0) for s in seeds]
            )
            mse = [b * (1 + c) for b, c in zip(base, changes)]
            write_notebook(
                folder / f"{strategy}.ipynb",
                make_record(strategy, seeds=seeds, mse=mse, mse_harder=[20 * m for m in mse]),
            )
    return gather(folder)


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0096921, "0.00969"),
        (0.99995, "1.00"),
        (2.34567e-6, "2.35 × 10⁻⁶"),
        (0, "0.00"),
        (-3.14159, "−3.14"),
        (1234.5, "1,230"),
        (1e9, "1.00 × 10⁹"),
        (-2e-9, "−2.00 × 10⁻⁹"),
        (None, "—"),
        (float("nan"), "—"),
        (float("inf"), "—"),
    ],
)
def test_numbers_for_a_reader(value, shown):
    assert number(value) == shown


def test_percent_and_span():
    assert (
        percent(0.0084) == "+0.84\u202f%"
        and percent(-0.123) == "−12\u202f%"
        and percent(0.5, sign=False) == "50\u202f%"
    )
    assert span(9.67e-12, 9.71e-12) == "9.670 to 9.710 × 10⁻¹²" and span(0.1, 0.2) == "0.1000 to 0.2000"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (-0.05, "mining helps: MSE on problems as in training −5.0\u202f% (95\u202f% interval −5.0"),
        (0.05, "mining hurts: MSE on problems as in training +5.0\u202f% (95\u202f% interval +5.0"),
        (0.005, "mining hurts, but by less than matters (within ±1\u202f%)"),
        ([1e-4, -1e-4] * 5, "mining makes no difference that matters (within ±1\u202f%)"),
        ([0.05, -0.04] * 5, "mining leaves the question open"),
    ],
)
def test_the_verdict_follows_from_the_numbers(tmp_path, change, says):
    assert says in verdict(study(tmp_path, change=change))


@pytest.mark.parametrize("change", [-0.05, 0.05, 1e-4])
def test_below_six_seeds_there_is_an_interval_and_no_claim(tmp_path, change):
    said = verdict(study(tmp_path, seeds=range(5), change=change))
    assert (
        said.startswith("No claim yet with the mlp energy: 5 paired seeds, and a claim needs 6.") and "interval" in said
    )
    assert not re.search("helps|hurts|no difference", said)


def test_one_seed_has_no_interval(tmp_path):
    assert "(no interval from 1 seed)" in verdict(study(tmp_path, seeds=[4], change=0.05))


def test_six_seeds_are_enough_for_a_claim(tmp_path):
    """Two strategies: with three, Holm's correction over three pairs leaves 6 seeds above 0.05."""
    assert "mining hurts:" in verdict(study(tmp_path, seeds=range(6), change=0.05))
    said = verdict(study(tmp_path, seeds=range(6), change=0.05, random=0.02))
    assert (
        "leaves the question open" in said
        and "6 seeds cannot show a difference here: after correction for 3 pairs p is 0.094 at least." in said
    )


def test_the_least_that_p_can_be_takes_the_other_pairs_as_they_are(tmp_path):
    """none and random have ten seeds, so that their pair uses up the first factor of Holm's correction."""
    study(tmp_path, change=None, random=0.05)
    base = [0.01 * (1 + 0.001 * ((7 * seed) % 5 - 2)) for seed in range(6)]
    write_notebook(
        tmp_path / "adversarial.ipynb",
        make_record("adversarial", seeds=range(6), mse=[1.02 * b for b in base], mse_harder=[0.2 * b for b in base]),
    )
    found = gather(tmp_path)
    row = found.comparison.query("split == 'same' and strategy == 'adversarial' and against == 'none'").iloc[0]
    assert row["p_holm"] == pytest.approx(2 * 2 / 2**6) and "p is 0.062 at least" in verdict(found)


def test_without_the_baseline_the_direction_is_still_right(tmp_path):
    study(tmp_path, change=0.02, random=0.05)
    (tmp_path / "none.ipynb").unlink()
    (text,) = [
        text
        for text in details(gather(tmp_path), "mlp")
        if text.startswith("Adversarial against random, problems as in training")
    ]
    assert text.endswith("— (no error of the baseline to take a share of); better in 10 of 10 seeds; better.")


@pytest.mark.parametrize(("gone", "says"), [("none", "no run of none."), ("adversarial", "no run of adversarial.")])
def test_without_both_strategies_there_is_no_answer(tmp_path, gone, says):
    study(tmp_path, change=0.05)
    (tmp_path / f"{gone}.ipynb").unlink()
    found = gather(tmp_path)
    assert verdict(found).startswith("No answer yet") and says in verdict(found)
    assert f"mlp: no run of {gone}." in missing(found)


def test_no_shared_seed_is_no_answer(tmp_path):
    write_notebook(tmp_path / "a.ipynb", make_record("none", seeds=(0, 1)))
    write_notebook(tmp_path / "b.ipynb", make_record("adversarial", seeds=(2, 3)))
    assert "share no seed" in verdict(gather(tmp_path))


def test_runs_that_differ_in_more_than_their_strategy_make_no_claim(tmp_path):
    study(tmp_path, change=0.05)
    write_notebook(tmp_path / "adversarial.ipynb", make_record("adversarial", seeds=TEN, batch_size=64))
    found = gather(tmp_path)
    assert verdict(found).startswith("No claim: the runs with the mlp energy differ")
    assert any("differ in batch_size (32, 64)" in text for text in missing(found))


def test_a_setting_that_a_strategy_does_not_use_may_differ(tmp_path):
    write_notebook(tmp_path / "none.ipynb", make_record("none", mining_noise_scale=1.0))
    write_notebook(tmp_path / "adversarial.ipynb", make_record("adversarial"))
    assert not any("differ" in text for text in missing(gather(tmp_path)))


def test_runs_of_one_strategy_that_differ_are_told_apart(tmp_path):
    for steps in (2, 8):
        write_notebook(tmp_path / f"{steps}.ipynb", make_record("adversarial", mining_opt_steps=steps))
    write_notebook(tmp_path / "none.ipynb", make_record("none"))
    names = ["adversarial (mining_opt_steps 2)", "adversarial (mining_opt_steps 8)"]
    assert set(gather(tmp_path).scores["strategy"]) == {"none", *names}


def test_seeds_in_two_runs_of_a_strategy_count_as_one(tmp_path):
    study(tmp_path, change=0.05)
    (tmp_path / "none.ipynb").unlink()
    for chunk in (range(5), range(5, 10)):
        write_notebook(tmp_path / f"none-{chunk[0]}.ipynb", make_record("none", seeds=chunk))
    found = gather(tmp_path)
    assert int(found.comparison.query("split == 'same'")["n_seeds"].iloc[0]) == 10 and "No claim yet" not in verdict(
        found
    )


@pytest.mark.parametrize(
    ("mse", "says"),
    [
        (0.0095, "On that plateau"),
        (0.012, "times the error"),
        (0.02, "barely begun"),
        (1e-4, "times lower"),
        (0.0, "no error at all"),
    ],
)
def test_the_plateau_is_named(tmp_path, mse, says, monkeypatch):
    write_notebook(tmp_path / "none.ipynb", make_record("none", mse=[mse] * 3))
    found = gather(tmp_path)
    known = pd.DataFrame(
        {
            "energy": "mlp",
            "reference": ["affine", "constant"],
            "mse_same": [0.00956, 0.01415],
            "mse_harder": [0.2077, 0.229],
        }
    )
    monkeypatch.setitem(found.__dict__, "references", known)
    assert says in plateau(found, "mlp")


def test_how_near_the_plateau_the_others_are(tmp_path, monkeypatch):
    for strategy, mse in {"none": 0.00958, "adversarial": 0.0104}.items():
        write_notebook(tmp_path / f"{strategy}.ipynb", make_record(strategy, mse=[mse] * 3))
    found = gather(tmp_path)
    known = pd.DataFrame(
        {
            "energy": "mlp",
            "reference": ["affine", "constant"],
            "mse_same": [0.00956, 0.01415],
            "mse_harder": [0.2077, 0.229],
        }
    )
    monkeypatch.setitem(found.__dict__, "references", known)
    assert (
        "within 0.21\u202f% of an affine fit of two numbers (0.00956), the others within 8.8\u202f%. On that plateau"
        in plateau(found, "mlp")
    )


def test_the_scale_is_stated(tmp_path):
    said = scale(study(tmp_path, change=0.05))
    assert said == (
        "Scale: n = 4, 500 training steps, batch 32, 10 seeds, 256 test problems a difficulty, 2 runs on Test CPU. "
        "The declared scale is larger: 100,000 training steps, a batch of 2,048, 20,000 test problems."
    )


def test_the_declared_scale_is_that_of_the_full_study():
    for run in plan("full"):
        assert {name: getattr(run.params, name) for name in DECLARED if name != "seeds"} | {
            "seeds": len(run.params.seed_list)
        } == DECLARED


# --- what is missing -----------------------------------------------------------------------------------------------


def test_every_gap_is_named(tmp_path):
    study(tmp_path, change=0.05)
    record = make_record("random", seeds=range(8))
    record["results"]["same"]["mse"][3] = None
    record["provenance"]["git_dirty"] = True
    write_notebook(tmp_path / "random.ipynb", record)
    write_notebook(tmp_path / "failed.ipynb", error=("TrainingError", "loss is not finite at step 3"))
    write_notebook(tmp_path / "killed.ipynb", records=0)
    write_notebook(tmp_path / "twice.ipynb", records=2)
    write_notebook(tmp_path / "more.part.ipynb", records=0)
    (tmp_path / "torn.ipynb").write_text("{")
    found = gather(tmp_path, plan=("none", "random", "adversarial", "ascent"))
    assert {r.path.name for r in found.refused} == {
        "failed.ipynb",
        "killed.ipynb",
        "twice.ipynb",
        "more.part.ipynb",
        "torn.ipynb",
    }
    said = "\n".join(missing(found))
    for part in (
        "no run of ascent",
        "random lacks seeds 8, 9",
        "random.ipynb: seed 3 has no finite MSE on same",
        "random.ipynb was made with code that differs",
    ):
        assert part in said
    shown = str(tables.gaps(found))
    for name in (
        "failed.ipynb",
        "killed.ipynb",
        "twice.ipynb",
        "more.part.ipynb",
        "torn.ipynb",
        "loss is not finite at step 3",
    ):
        assert name in shown
    assert "5 notebooks refused, 4 gaps in the evidence" in str(tables.answer(found))


def test_a_whole_study_has_nothing_missing(tmp_path):
    found = study(tmp_path, change=0.05, random=0.02)
    assert missing(found) == [] and "Nothing that the plan asks for is missing" in str(tables.gaps(found))
    assert "notice" not in str(tables.answer(found))


def test_the_reports_own_notebook_is_no_run(tmp_path):
    study(tmp_path, change=0.05)
    for name in ("summary.analysis.ipynb", "summary.analysis.part.ipynb"):
        write_notebook(tmp_path / name, records=0)
    assert gather(tmp_path).refused == ()


# --- tables --------------------------------------------------------------------------------------------------------


def test_strategies_and_references_stand_in_one_table(tmp_path):
    shown = str(tables.strategies(study(tmp_path, change=0.05)))
    for name in (
        "none",
        "adversarial",
        "constant: the mean inverse",
        "affine: c₀I + c₁A",
        "polynomial in A, degree 10",
        "Newton-Schulz, 20 iterations",
        "LU in float64",
    ):
        assert f">{name}</th>" in shown
    assert "+5.0\u202f%" in shown and "published" not in shown, "published figures are of another n"


def test_optimisation_steps_stand_beside_the_published_ones(tmp_path):
    for strategy, mse in (("none", 0.01), ("adversarial", 0.02)):
        write_notebook(
            tmp_path / f"{strategy}.ipynb", make_record(strategy, n=20, mse=[mse] * 3, mse_harder=[20 * mse] * 3)
        )
    rows = BeautifulSoup(str(tables.optimisation(gather(tmp_path))), "html.parser").find_all("tr")
    cells = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in rows]
    # the synthetic error at k landscape steps a level is mse (1 + 1 / (k + 1)); ten levels
    assert cells[1] == ["0", "—", "—", "0.02000", "0.4000", "0.04000", "0.8000"]
    assert cells[4] == ["30", "0.0096", "0.209", "0.01250", "0.2500", "0.02500", "0.5000"]


def test_every_seed_leads_to_its_run(tmp_path):
    found = study(tmp_path, change=0.05)
    rows, origins = str(tables.seeds(found)), str(tables.provenance(found))
    assert rows.count(f'href="#{anchor("none.ipynb")}"') == 20 and f'id="{anchor("none.ipynb")}"' in origins
    assert "test-host: Test CPU, 2 cores, on cpu" in origins and "0123456789ab" in origins


def test_the_data_in_the_page_are_the_scores(tmp_path):
    found = study(tmp_path, change=0.05)
    files = {
        name: base64.b64decode(data).decode()
        for name, data in re.findall(
            r'download="([^"]*)" href="data:[^;]*;base64,([^"]*)"', str(tables.downloads(found))
        )
    }
    assert set(files) == {"scores.csv", "comparisons.csv", "references.csv", "records.json"}
    assert len(files["scores.csv"].splitlines()) == 1 + 2 * 10 * 2
    data = json.loads(files["records.json"])
    assert "forming, worst" in data["left_out"] and "curves" not in data["left_out"]
    scores = found.records["none.ipynb"]["results"]
    whole = make_record("none", seeds=TEN, mse=scores["same"]["mse"], mse_harder=scores["harder"]["mse"])
    assert data["none.ipynb"] == without_pictures(whole)
    assert str(tmp_path) not in "".join(files.values())


def without_pictures(record):
    return record | {
        "results": {name: part for name, part in record["results"].items() if name not in ("forming", "worst")}
    }


def test_heavy_curves_stay_out_and_the_data_say_so(monkeypatch):
    monkeypatch.setattr(tables, "DATA_LIMIT", 100)
    data = json.loads(tables.to_json({"a.ipynb": make_record()}))
    assert "curves" in data["left_out"] and "curves" not in data["a.ipynb"] and data["a.ipynb"]["results"]


# --- odd records ---------------------------------------------------------------------------------------------------


def everything(found) -> str:
    """All that the notebook shows."""
    parts = [
        tables.answer(found),
        figures.headline(found),
        tables.beside(found),
        tables.strategies(found),
        figures.seeds(found),
        tables.published(found),
        figures.differences(found),
        tables.pairs(found),
    ]
    for name in ("learning", "thinking", "conditions", "ladder", "solving", "mining"):
        parts += [getattr(observations, name)(found), getattr(figures, name)(found)]
    parts += [
        products.say(found),
        products.reached(found),
        products.prices(found),
        products.elsewhere(found),
        products.seeds(found),
    ]
    parts += [tables.optimisation(found)]
    parts += [gallery.forming(found), gallery.worst(found)]
    parts += [
        tables.provenance(found),
        tables.settings(found),
        tables.seeds(found),
        tables.gaps(found),
        tables.downloads(found),
    ]
    return "\n".join(parts)


ODD = {
    "nothing": [],
    "one run": [make_record()],
    "one seed": [make_record(seeds=[3]), make_record("random", seeds=[3])],
    "scores of zero": [make_record(mse=[0, 0, 0], mse_harder=[0, 0, 0]), make_record("adversarial", mse=[0, 0, 0])],
    "equal scores": [make_record(mse=[1.0] * 3), make_record("adversarial", mse=[1.0] * 3)],
    "no score": [
        make_record(mse=[0.0] * 3)
        | {"results": make_record()["results"] | {"same": make_record()["results"]["same"] | {"mse": [None] * 3}}}
    ],
    "another n": [make_record(n=4), make_record("random", n=5)],
    "n beyond bounds": [make_record(n=10**40)],
    "n of 0": [make_record(n=0)],
    "settings of any kind": [make_record(landscape_steps=[1, {"a": 2}], extra={"x": [1]}, long="y" * 10_000)],
    "characters that XML forbids": [make_record("a\x00\x08\u202eb\ud800"), make_record("none")],
    "three energies": [
        make_record(s, energy=e) for e in ("residual", "mlp", "bilinear") for s in ("none", "adversarial")
    ],
}


DRAWN = ("scores of zero", "characters that XML forbids")  # the others test tables and words; drawing takes seconds


@pytest.mark.parametrize("name", ODD)
def test_odd_records_make_a_page_all_the_same(tmp_path, name, monkeypatch):
    if name not in DRAWN:
        monkeypatch.setattr(drawing, "to_svg", lambda sheet, prefix: "<svg ></svg>")
    for place, record in enumerate(ODD[name]):
        write_notebook(tmp_path / f"run{place}.ipynb", record)
    shown = everything(gather(tmp_path))
    shown.encode()
    assert "nan" not in re.sub(r"<[^>]*>", " ", shown).lower().split() and len(shown) > 1000


def test_energies_come_in_the_studys_order_each_with_a_verdict(tmp_path):
    for place, record in enumerate(ODD["three energies"]):
        write_notebook(tmp_path / f"run{place}.ipynb", record)
    found = gather(tmp_path)
    assert found.energies == ["mlp", "bilinear", "residual"]
    same, harder, *each = verdict(found).splitlines()
    assert (
        same == "On problems as in training, adversarial mining has no answer yet with mlp and bilinear and residual."
        and len(each) == 3
    )
    assert harder == same.replace("problems as in training", "harder problems")
    assert each[0] not in str(tables.answer(found)) and each[0].partition(":")[0] in str(tables.beside(found)), (
        "the first screen has room for the sum alone"
    )


def test_in_short_energies_with_one_outcome_stand_together(tmp_path):
    for energy, change in {"mlp": 1.05, "bilinear": 1.05, "residual": 0.9}.items():
        for strategy, factor in {"none": 1.0, "adversarial": change}.items():
            mse = [factor * (0.01 + 1e-5 * ((3 * seed) % 7)) for seed in range(6)]
            write_notebook(
                tmp_path / f"{strategy}-{energy}.ipynb", make_record(strategy, seeds=range(6), energy=energy, mse=mse)
            )
    assert verdict(gather(tmp_path)).splitlines()[0] == (
        "On problems as in training, adversarial mining hurts (+5.0\u202f%) with mlp and bilinear; "
        "helps (−10\u202f%) with residual."
    )


def test_a_study_of_another_strategy_is_about_that_one(tmp_path):
    study(tmp_path, change=None, **{"mine:greedy": 0.05})
    found = gather(tmp_path, ("none", "mine:greedy"))
    assert verdict(found).startswith("With the mlp energy, mine:greedy mining hurts") and missing(found) == []
    assert any(text.startswith("Mine:greedy against none, harder problems") for text in details(found, "mlp"))


def test_the_better_seeds_are_counted(tmp_path):
    found = study(tmp_path, change=[-0.05] * 3 + [0.05] * 7)
    assert any("harder problems" in text and "; better in 3 of 10 seeds; " in text for text in details(found, "mlp"))


def test_a_dearer_strategy_is_seen_at_equal_cost(tmp_path):
    """none needs 500 steps for what costs adversarial 250 of its own; the curves are straight lines between those points."""
    for strategy, price in {"none": 0.01, "adversarial": 0.02}.items():
        record = make_record(strategy, seeds=range(6))
        record["provenance"]["seconds_per_step"] = price
        record["curves"] |= {
            "mse_step": [100, 500],
            "mse_same": [[0.04] * 6, [0.02 if strategy == "none" else 0.012] * 6],
        }
        write_notebook(tmp_path / f"{strategy}.ipynb", record)
    texts = details(gather(tmp_path), "mlp")
    # at step 250 adversarial is at 0.04 - 0.028 * 150 / 400 = 0.0295 (+47.5 %), against 0.02
    assert (
        "For the price of all steps of none, adversarial takes 250; its error on the problems of the learning curve is then "
        "+47\u202f% against none's at the end, and lower in 0 of 6 seeds."
    ) in texts


def test_steps_of_different_sizes_have_no_common_price(tmp_path):
    """Ten seeds in one stack, and in two of five: a step of the latter is half the work."""
    study(tmp_path, change=None)
    for chunk in (range(5), range(5, 10)):
        write_notebook(tmp_path / f"adversarial-{chunk[0]}.ipynb", make_record("adversarial", seeds=chunk))
    assert prices(gather(tmp_path), "mlp") == {}
    write_notebook(tmp_path / "adversarial-0.ipynb", make_record("adversarial", seeds=TEN))
    (tmp_path / "adversarial-5.ipynb").unlink()
    assert prices(gather(tmp_path), "mlp") == {"none": 1.0, "adversarial": 1.0}


def test_the_figures_of_others_are_compared(tmp_path):
    for strategy, factor in {"none": 1.0, "random": 0.9, "adversarial": 1.05}.items():
        mse = [factor * (0.01 + 1e-5 * seed) for seed in range(6)]
        write_notebook(
            tmp_path / f"{strategy}.ipynb",
            make_record(strategy, seeds=range(6), n=20, mse=mse, mse_harder=[20 * m for m in mse], train_steps=700),
        )
    prior, ired = reproduced(gather(tmp_path))
    assert (
        "random +0.40\u202f%, adversarial +0.88\u202f%" in prior
        and "after 700 steps, in the same direction for adversarial alone: random −10\u202f%" in prior
    )
    assert "same −2.1\u202f%, harder −2.4\u202f%" in ired and "here: same +5.0\u202f%" in ired


def test_runs_on_devices_with_random_numbers_of_their_own_are_not_paired(tmp_path):
    study(tmp_path, change=0.05)
    record = make_record("random", seeds=TEN)
    record["provenance"] |= {"device": "cuda", "machine": record["provenance"]["machine"] | {"gpu": "NVIDIA H100"}}
    write_notebook(tmp_path / "random.ipynb", record)
    assert (
        "mlp: the runs drew their problems on different devices (NVIDIA H100, cpu), whose random numbers differ: seeds are not paired."
        in missing(gather(tmp_path))
    )


def test_one_name_with_two_codes_is_two_strategies(tmp_path):
    for place, code in enumerate(("a" * 64, "b" * 64)):
        record = make_record("mine:greedy", seeds=range(3 * place, 3 * place + 3))
        record["provenance"]["own_code"] = {"mine:greedy": code}
        write_notebook(tmp_path / f"{place}.ipynb", record)
    names = set(gather(tmp_path).scores["strategy"])
    assert names == {"mine:greedy (code of mine:greedy aaaaaaaa)", "mine:greedy (code of mine:greedy bbbbbbbb)"}


# --- hostile records -----------------------------------------------------------------------------------------------


def hostile_records() -> dict[str, dict]:
    """A record for each place that foreign text can come from: file name -> record."""

    def attack(place):
        return ATTACK.format(place, place)

    made = {
        "names.ipynb": make_record(attack("strategy"), seeds=(0, 1, 2)),
        "energy.ipynb": make_record("none", energy=attack("energy")),
        "formula.ipynb": make_record("$\\frac{1}{0$ {{7*7}} {0.__class__}"),
        "params.ipynb": make_record(
            "random",
            precision=attack("precision"),
            device=attack("param device"),
            checkpoint_dir=attack("folder"),
            **{attack("key"): attack("value")},
        ),
        "spreadsheet.ipynb": make_record('=HYPERLINK("http://evil.example")'),
    }
    for seed, name in enumerate(("git_commit", "anm", "python", "torch", "device", "started", "host", "cpu", "gpu")):
        made[f"{name}.ipynb"] = make_record("none", seeds=[seed])
        origin = made[f"{name}.ipynb"]["provenance"]
        (origin["machine"] if name in origin["machine"] else origin)[name] = attack(name)
    made["<img src=x onerror=pwned('file')>\"'&.ipynb"] = make_record("adversarial")
    return made


@pytest.fixture(scope="session")
def hostile_page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for name, record in hostile_records().items():
        write_notebook(folder / name, record)
    write_notebook(folder / "error.ipynb", error=(ATTACK.format("ename", "ename"), ATTACK.format("error", "error")))
    write_notebook(folder / "javascript:pwned('file').ipynb", records=0)
    return build_report(folder)


@pytest.fixture(scope="session")
def clean_page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    study(folder, change=0.05, random=0.001)
    write_notebook(folder / "failed.ipynb", error=("TrainingError", "loss is not finite at step 3"))
    return build_report(folder)


def test_a_record_is_data_never_markup(hostile_page):
    soup = BeautifulSoup(hostile_page.read_text(), "html.parser")
    assert len(soup.find_all("script")) == 1 and [link["href"] for link in soup.find_all("link")] == ["data:,"]
    assert not soup.find_all(["img", "iframe", "object", "embed", "form", "base"])
    for element in soup.find_all(True):
        assert not [name for name in element.attrs if name.lower().startswith("on")], element.name
        address = element.attrs.get("href", "#")
        assert address.startswith(("#", "./", "data:")), address
    text = soup.get_text()
    for place in (
        "strategy",
        "energy",
        "precision",
        "key",
        "value",
        "torch",
        "device",
        "started",
        "host",
        "gpu",
        "ename",
        "error",
    ):
        assert f"pwned('{place}')" in text, f"{place} should show as text"
    assert soup.find(title=ATTACK.format("git_commit", "git_commit")), "a commit is cut short; hovering shows it whole"
    assert "{{7*7}} {0.__class__}" in text and "$\\frac{1}{0$" in text


# --- the page ------------------------------------------------------------------------------------------------------


def test_the_page_and_its_notebook_are_written(clean_page):
    text = clean_page.read_text()
    assert clean_page.name == "summary.html" and len(text) < 5_000_000
    assert sorted(p.name for p in clean_page.parent.iterdir() if "summary" in p.name) == [
        "summary.analysis.ipynb",
        "summary.html",
    ]
    kept = nbformat.read(clean_page.with_name("summary.analysis.ipynb"), as_version=4)
    assert any('runs = "."' in cell.source for cell in kept.cells)
    assert verdict(gather(clean_page.parent)).split(":")[0] in text and "loss is not finite at step 3" in text
    assert text.index("mining hurts") < text.index("<figure") < text.index("<nav")


def test_the_same_records_give_the_same_page_and_one_elsewhere_finds_its_notebooks(clean_page, tmp_path):
    again = build_report(clean_page.parent, tmp_path / "deep" / "other.html")
    address = r'(?<=<a href="\./)[^"]*(?=\.ipynb")'
    assert re.sub(address, "", again.read_text()) == re.sub(address, "", clean_page.read_text())
    found = [f"{link}.ipynb" for link in re.findall(address, again.read_text())]
    assert len(found) == 3 and all((again.parent / link).is_file() for link in found)


def test_an_empty_folder_makes_a_page_that_says_so(tmp_path):
    text = build_report(tmp_path).read_text()
    assert "No answer yet: there is no finished run." in text and "There is no run that counts." in text


def test_a_missing_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(RecordError, match="nowhere.*no such folder"):
        build_report(tmp_path / "nowhere")


# --- in a browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser(chromium):
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing_tool("playwright is not installed: pip install -e '.[test]'")
    with sync_playwright() as driver:
        yield driver.chromium.launch(
            executable_path=chromium,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )


@pytest.fixture
def look(browser):
    """look(path, width, scheme) -> the page, and what it asked for and complained about."""
    contexts = []

    def open_page(path, width=1440, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page, log = context.new_page(), []
        page.on("request", lambda request: log.append(request.url) if not request.url.startswith("data:") else None)
        page.on("console", lambda message: log.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: log.append(f"error: {error}"))
        page.on("dialog", lambda dialog: log.append(f"dialog: {dialog.message}"))
        page.goto(path.as_uri())
        return page, log

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_request_leaves_the_page_and_nothing_is_wrong_in_it(clean_page, look, width, scheme):
    page, log = look(clean_page, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert log == [clean_page.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.evaluate("[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width)")
    assert min(small) > 300, "figures fill a phone"


def test_first_screen_holds_answer_and_figure(clean_page, look):
    page, _ = look(clean_page, 1440)
    assert page.locator(".verdict").first.bounding_box()["y"] < 300
    box = page.locator("figure").first.bounding_box()
    assert box["y"] + box["height"] < 900


@pytest.mark.parametrize("width", [1440, 390])
def test_hostile_records_run_nothing(hostile_page, look, width):
    page, log = look(hostile_page, width)
    assert log == [hostile_page.as_uri()]
    assert page.evaluate("typeof pwned") == "undefined" and page.locator("img").count() == 0


def test_even_without_its_policy_the_page_runs_nothing_hostile(hostile_page, look, tmp_path):
    bare = tmp_path / "bare.html"
    bare.write_text(re.sub(r"<meta[^>]*Content-Security-Policy[^>]*>", "", hostile_page.read_text()))
    page, log = look(bare)
    assert log == [bare.as_uri()]


def test_tables_sort_by_number(clean_page, look):
    page, _ = look(clean_page)
    heading = page.locator("#strategies-side-by-side ~ * th", has_text="MSE same").first
    heading.locator("button").click()
    column = "[...document.querySelector('table').tBodies[0].rows].map(row => parseFloat(row.cells[1].dataset.sort))"
    rising = page.evaluate(column)
    assert rising == sorted(rising) and heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").click()
    assert page.evaluate(column) == rising[::-1]


def test_the_data_can_be_saved(clean_page, look, tmp_path):
    page, _ = look(clean_page, accept_downloads=True)
    with page.expect_download() as saved:
        page.locator("a.download", has_text="scores.csv").click()
    saved.value.save_as(tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text().startswith("run,strategy,energy")


def test_the_page_prints_with_every_fold_open(clean_page, look, tmp_path):
    page, _ = look(clean_page)
    page.emulate_media(media="print")
    tall = page.evaluate("[...document.querySelectorAll('details table')].map(t => t.getBoundingClientRect().height)")
    assert tall and min(tall) > 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    printed = page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert printed.startswith(b"%PDF")


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(clean_page, look, width, scheme):
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        missing_tool("axe-playwright-python is not installed: pip install -e '.[test]'")
    page, _ = look(clean_page, width, scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["impact"], v["nodes"][0]["html"][:200]) for v in found] == []


# --- the notebook --------------------------------------------------------------------------------------------------


def test_the_notebook_is_a_story_without_code_that_belongs_elsewhere():
    kept = nbformat.read(NOTEBOOKS / "analysis.ipynb", as_version=4)
    for cell in kept.cells:
        if cell.cell_type == "code":
            assert not re.search(r"^\s*(def|class|for|while) ", cell.source, re.MULTILINE)
        else:
            assert not re.search(r"\d+\.\d+", cell.source), "prose repeats no number by hand"


def test_the_notebook_shows_everything():
    source = (NOTEBOOKS / "analysis.py").read_text()
    for module in (figures, tables, observations, products, gallery):
        public = [
            name
            for name, value in vars(module).items()
            if callable(value) and value.__module__ == module.__name__ and not name.startswith(("_", "to_"))
        ]
        for name in set(public) - {
            "lines",
            "paired",
            "energies",
            "milestones",
            "shown",
            "spread",
            "when",
            "matrix",
            "mean_square",
        }:
            assert f"{module.__name__.rpartition('.')[2]}.{name}(study)" in source, name
