"""Settings: every valid form is accepted; anything else is rejected by name before any work."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny

from anm.params import NOT_IN_RUN_ID, ParamError, RunParams, format_seeds, parse_seeds
from anm.registry import CHOICES, resolve
from anm.study.plan import load_yaml
from anm.training.loop import train

FIELDS = list(RunParams.model_fields)
WHOLE, NUMBER, SEEDS, CHOICE = (
    "must be a whole number from",
    "must be a number",
    "must be seeds such as",
    "must be one of",
)

BAD = [
    ("strategy", "adverserial", "Did you mean 'adversarial'?"),
    ("strategy", "Adversarial ", CHOICE),
    ("strategy", "", "none, one_step, pgd, pool, random"),
    ("strategy", None, CHOICE),
    ("strategy", ["none"], CHOICE),
    ("strategy", "no_such_module:mine", "No module named 'no_such_module'"),
    ("strategy", "math:no_such_function", "no_such_function"),
    ("strategy", "math:pi", "a function or class"),
    ("strategy", ".relative:mine", 'importable as "module:name"'),
    ("energy", "mpl", "Did you mean 'mlp'?"),
    ("energy", {}, CHOICE),
    ("task", "additon", "Did you mean 'addition'?"),
    ("task", None, CHOICE),
    ("task", "no_such_module:Mine", "No module named 'no_such_module'"),
    ("task", "math:pi", "a function or class"),
    ("task", "math:sqrt", "must be a subclass of anm.Task"),
    ("width", 0, f"{WHOLE} 1 to 65,536"),
    ("completion_rank", 513, f"{WHOLE} 1 to 512"),
    ("n", 0, f"{WHOLE} 1 to 512"),
    ("n", -1, WHOLE),
    ("n", 1.5, WHOLE),
    ("n", "ten", WHOLE),
    ("n", True, WHOLE),
    ("n", None, WHOLE),
    ("n", [20], WHOLE),
    ("n", 513, WHOLE),
    ("n", float("inf"), WHOLE),
    ("n", 10**400, WHOLE),
    ("noise_levels", 0, f"{WHOLE} 1 to 1,000"),
    ("train_steps", 0, WHOLE),
    ("train_steps", "1e9", WHOLE),
    ("budget_steps", -1, f"{WHOLE} 0"),
    ("budget_points", "0.5", "must be rising shares above 0 that end with 1"),
    ("budget_points", "0.5,0.25,1", "must be rising shares"),
    ("budget_points", "0.5,0.5,1", "must be rising shares"),
    ("budget_points", "0,1", "must be rising shares"),
    ("budget_points", "nan,1", "must be rising shares"),
    ("budget_points", "half", "must be rising shares"),
    ("budget_points", "", "must be rising shares"),
    ("batch_size", 0, WHOLE),
    ("batch_size", "2048 rows", WHOLE),
    ("learning_rate", float("nan"), f"{NUMBER} above 0 and at most 1"),
    ("learning_rate", "nan", NUMBER),
    ("learning_rate", "fast", NUMBER),
    ("learning_rate", 0, NUMBER),
    ("learning_rate", -1e-4, NUMBER),
    ("learning_rate", float("inf"), NUMBER),
    ("learning_rate", 10**400, NUMBER),
    ("learning_rate", False, NUMBER),
    ("schedule", "linear", "must be one of constant, cosine, wsd"),
    ("schedule", "cosin", "Did you mean 'cosine'?"),
    ("least_noise", -0.1, f"{NUMBER} from 0 to 1"),
    ("least_noise", 1.1, f"{NUMBER} from 0 to 1"),
    ("seeds", "9-0", SEEDS),
    ("seeds", "", SEEDS),
    ("seeds", "0-2,2", SEEDS),
    ("seeds", "0..9", SEEDS),
    ("seeds", -1, SEEDS),
    ("seeds", 1.0, SEEDS),
    ("seeds", [0, 1], SEEDS),
    ("seeds", "0-1000", SEEDS),
    ("seeds", str(2**31), SEEDS),
    ("seeds", "0-" + "9" * 40, SEEDS),
    ("mining_opt_steps", -1, f"{WHOLE} 0"),
    ("mining_noise_scale", -0.5, f"{NUMBER} from 0"),
    ("contrastive_weight", "half", f"{NUMBER} from 0"),
    ("negative_loss", "contrast", "Did you mean 'contrastive'?"),
    ("negative_share", 0, f"{NUMBER} above 0 and at most 1"),
    ("negative_share", 1.5, f"{NUMBER} above 0 and at most 1"),
    ("contrastive_warmup", -1, f"{WHOLE} 0"),
    ("contrast_noise", "fresh", "must be one of own, denoising, none"),
    ("contrast_scale", "gaps", "Did you mean 'gap'?"),
    ("mining_levels", "0-", 'must be "all", a range of noise levels'),
    ("mining_levels", "4-2", "must be"),
    ("mining_levels", True, "must be"),
    ("mining_levels", 1.0, "must be"),
    ("mining_levels", "0-10", "must be within the noise levels, 0-9"),
    ("false_negative_residual", "nan", f"{NUMBER} from 0"),
    ("target_hardness", 0, f"{NUMBER} above 0 and at most 1"),
    ("candidates", 0, f"{WHOLE} 1"),
    ("ball_radius", 0, f"{NUMBER} above 0"),
    ("langevin_noise", -1, f"{NUMBER} from 0"),
    ("replay_size", 0, f"{WHOLE} 1"),
    ("replay_fresh", 1.5, f"{NUMBER} from 0 to 1"),
    ("pool_size", 0, f"{WHOLE} 1"),
    ("corruption_share", -0.1, f"{NUMBER} from 0 to 1"),
    ("mixture", "adversarial:0.5", "shares that add up to 1"),
    ("mixture", "adversarial", "shares that add up to 1"),
    ("mixture", "random:0.5,random:0.5", "shares that add up to 1"),
    ("mixture", "random:1.5,adversarial:-0.5", "shares that add up to 1"),
    ("mixture", "randm:0.5,adversarial:0.5", "Did you mean 'random'?"),
    ("mixture", "none:0.5,adversarial:0.5", "'none' does not"),
    ("mixture", "mixture:1", "'mixture' does not"),
    ("mixture", 3, "shares that add up to 1"),
    ("landscape_steps", 2.5, f"{WHOLE} 0"),
    ("answer_bound", 0, f"{NUMBER} above 0"),
    ("test_problems", 1, f"{WHOLE} 2"),
    ("evaluation", "score", "Did you mean 'scores'?"),
    ("test_set", -1, f"{WHOLE} 0 to 1,000"),
    ("device", "gpu7", "must be auto, cpu, mps, cuda"),
    ("device", "cuda:x", "must be auto"),
    ("device", "cuda:-1", "must be auto"),
    ("device", "cuda:\u0663", "must be auto"),  # a digit, but not one that torch reads
    ("device", "cuda:" + "9" * 30, "must be auto"),
    ("device", 0, "must be auto"),
    ("precision", "float64", "must be one of float32, tf32, bfloat16"),
    ("precision", "fp32", "Did you mean"),
    ("checkpoint_dir", "", "must be the path of a folder"),
    ("checkpoint_dir", 3, "must be the path of a folder"),
    ("checkpoint_dir", "a\0b", "must be the path of a folder"),
    ("resume", "maybe", "must be true or false"),
    ("resume", None, "must be true or false"),
    ("stategy", "random", "Did you mean 'strategy'?"),
    ("rank", 10, "Did you mean 'n'?"),
    ("lr", 1e-3, "Did you mean 'learning_rate'?"),
    ("qqqqqq", 1, "there is no such parameter. Allowed: strategy, energy, task, n,"),
]


@pytest.mark.parametrize(
    "make", [lambda settings: RunParams(**settings), RunParams.from_namespace], ids=["direct", "notebook"]
)
@pytest.mark.parametrize("name, value, allowed", BAD)
def test_an_invalid_value_is_named_with_the_allowed_values(make, name, value, allowed, tmp_path):
    folder = tmp_path / "not-made"
    with pytest.raises(ParamError) as caught:
        make({"checkpoint_dir": str(folder), "train_steps": 10} | {name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} = {repr(value)[:200]}") and allowed in message and len(message) < 700
    assert not folder.exists()


def test_one_message_names_every_invalid_value():
    with pytest.raises(ParamError) as caught:
        RunParams(n=0, batch_size=0, stategy="none")
    assert all(f"{part}" in str(caught.value) for part in ("n = 0:", "batch_size = 0:", "stategy = 'none':"))


def test_of_a_notebook_s_variables_only_plain_values_are_settings(tmp_path):
    namespace = {
        "n": 4,
        "checkpoint_dir": str(tmp_path),
        "_hidden": 1,
        "In": [""],
        "Out": {},
        "np": np,
        "solve": print,
        "figure": object(),
        "__name__": "__main__",
    }
    assert RunParams.from_namespace(namespace).n == 4
    with pytest.raises(ParamError, match="ranks = 10: there is no such parameter"):
        RunParams.from_namespace(namespace | {"ranks": 10})


@pytest.mark.parametrize(
    "name, forms, value",
    [
        ("n", [20, 20.0, "20", " 20 ", "2e1", np.int64(20), np.float32(20)], 20),
        ("learning_rate", [1e-4, "1e-4", "0.0001", np.float64(1e-4)], 1e-4),
        ("learning_rate", [1, "1", 1.0], 1.0),
        ("resume", [False, "false", "False", "no", "off", 0, "0"], False),
        ("resume", [True, "TRUE", "yes", "on", 1, "1"], True),
        ("seeds", [3, "3", "3-3", np.int64(3), "003"], "3"),
        ("seeds", ["0-3", "0,1,2,3", "0-1,2-3", " 0-1, 2, 3 "], "0-3"),
        ("seeds", ["0,3,5"], "0,3,5"),
        ("seeds", ["0,1,2147483647"], "0,1,2147483647"),
        ("seeds", ["1-2", "1,2"], "1,2"),
        ("checkpoint_dir", ["somewhere", Path("somewhere")], "somewhere"),
        ("budget_points", ["0.25,0.5,1", " .250, 5e-1,1.0"], "0.25,0.5,1"),
        ("budget_points", ["0.12345678,1"], "0.12345678,1"),
        ("budget_points", ["1", 1, 1.0, " 1e0"], "1"),
        ("mining_levels", ["2-4", " 2-4", "02-4"], "2-4"),
        ("mining_levels", [3, "3", "3-3"], "3"),
        ("mixture", ["random:1", " random:1.0"], "random:1.0"),
        ("mixture", ["random:0.25, pgd:.75", "random:2.5e-1,pgd:0.75"], "random:0.25,pgd:0.75"),
    ],
)
def test_every_valid_form_is_accepted(name, forms, value):
    for form in forms:
        resolved = RunParams(**{name: form}).resolved()[name]
        assert resolved == value and type(resolved) is type(value)


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=30, unique=True))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_formatted_seeds_parse_to_the_same_seeds(seeds):
    formatted = format_seeds(",".join(map(str, seeds)))
    assert parse_seeds(formatted) == tuple(seeds) and format_seeds(formatted) == formatted
    assert RunParams(seeds=formatted).seed_list == tuple(seeds)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=5)
    | st.sampled_from(["0-9", "cuda:1", "1e-4", "none", "mlp", "auto", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(FIELDS), ANYTHING)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_any_value_is_rejected_by_name_or_survives_json(name, value):
    try:
        params = RunParams(**{name: value})
    except ParamError as error:
        assert str(error).startswith(f"{name} = ")
    else:
        again = RunParams(**json.loads(json.dumps(params.resolved(), allow_nan=False)))
        assert again == params and again.run_id() == params.run_id()


def test_names_and_defaults_are_the_notebook_s_contract():
    resolved = RunParams().resolved()
    scale = {"train_steps", "batch_size", "learning_rate", "seeds", "test_problems"}  # may differ from the contract
    assert {name: value for name, value in resolved.items() if name not in scale} == {
        "strategy": "adversarial",
        "energy": "mlp",
        "task": "inverse",
        "n": 20,
        "width": 512,
        "completion_rank": 10,
        "noise_levels": 10,
        "budget_steps": 0,
        "budget_points": "1",
        "schedule": "constant",
        "least_noise": 1.0,
        "mining_opt_steps": 2,
        "mining_noise_scale": 3.0,
        "contrastive_weight": 0.5,
        "negative_loss": "contrastive",
        "negative_share": 1.0,
        "contrastive_warmup": 0,
        "contrast_noise": "own",
        "contrast_scale": "none",
        "mining_levels": "all",
        "false_negative_residual": 0.0,
        "target_hardness": 0.25,
        "candidates": 8,
        "ball_radius": 0.1,
        "langevin_noise": 1.0,
        "replay_size": 10_000,
        "replay_fresh": 0.05,
        "pool_size": 100,
        "corruption_share": 0.05,
        "mixture": "adversarial:0.5,random:0.5",
        "landscape_steps": 5,
        "answer_bound": 2.0,
        "evaluation": "full",
        "test_set": 0,
        "device": "auto",
        "precision": "float32",
        "compile": "auto",
        "checkpoint_dir": "checkpoints",
        "resume": True,
    }
    assert scale <= set(resolved)


def test_a_cosine_schedule_is_scored_at_its_end_alone():
    assert RunParams(schedule="cosine").fractions == (1.0,)
    with pytest.raises(ParamError, match="budget_points = '0.5,1': a cosine schedule decays once; .*'wsd'"):
        RunParams(schedule="cosine", budget_points="0.5,1")
    assert RunParams(schedule="wsd", budget_points="0.5,1").fractions == (0.5, 1.0)


def test_settings_are_immutable():
    with pytest.raises(Exception, match="frozen"):
        RunParams().n = 3


OTHER = {
    "strategy": "none",
    "task": "addition",
    "n": 5,
    "width": 64,
    "completion_rank": 3,
    "noise_levels": 9,
    "train_steps": 7,
    "budget_steps": 7,
    "budget_points": "0.5,1",
    "batch_size": 9,
    "seeds": "0-3",
    "learning_rate": 2e-3,
    "schedule": "wsd",
    "least_noise": 0.5,
    "mining_opt_steps": 3,
    "mining_noise_scale": 2,
    "contrastive_weight": 0.4,
    "negative_loss": "denoising",
    "negative_share": 0.5,
    "landscape_steps": 6,
    "answer_bound": 3,
    "contrastive_warmup": 5,
    "contrast_noise": "denoising",
    "contrast_scale": "gap",
    "mining_levels": "2-4",
    "false_negative_residual": 0.2,
    "target_hardness": 0.3,
    "candidates": 3,
    "ball_radius": 0.2,
    "langevin_noise": 0.5,
    "replay_size": 64,
    "replay_fresh": 0.1,
    "pool_size": 7,
    "corruption_share": 0.1,
    "mixture": "random:1",
    "test_problems": 7,
    "evaluation": "scores",
    "test_set": 3,
    "device": "cpu",
    "precision": "tf32",
    "compile": "no",
    "checkpoint_dir": "other",
    "resume": False,
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_run_id_changes_exactly_with_settings_that_change_the_weights(name, monkeypatch):
    monkeypatch.setitem(CHOICES["energy"], "other", object)
    value = "other" if name == "energy" else OTHER[name]
    changed = RunParams(**{name: value}).run_id() != RunParams().run_id()
    same_weights = {"checkpoint_dir", "resume", "device", "test_problems", "evaluation", "test_set"}
    assert changed == (name not in same_weights) == (name not in NOT_IN_RUN_ID)


def test_a_strategy_from_a_file_in_the_user_s_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    Path("my_strategies_1.py").write_text("def zeros(context):\n    return 0 * context.x0\n")
    Path("my_strategies_2.py").write_text("def broken(context)\n")
    assert resolve("strategy", RunParams(strategy="my_strategies_1:zeros").strategy).__name__ == "zeros"
    with pytest.raises(ParamError, match="strategy = 'my_strategies_2:broken': .*SyntaxError"):
        RunParams(strategy="my_strategies_2:broken")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has a GPU")
@pytest.mark.parametrize(
    "name, value, allowed",
    [
        ("device", "cuda", "has cpu"),
        ("device", "cuda:3", "has cpu"),
        ("precision", "tf32", "use float32"),
        ("precision", "bfloat16", "use float32"),
    ],
)
def test_a_missing_device_or_precision_is_rejected_before_any_work(name, value, allowed, tmp_path):
    with pytest.raises(ParamError, match=f"{name} = '{value}': .*{allowed}"):
        RunParams.from_namespace({name: value, "checkpoint_dir": str(tmp_path / "not-made")})
    with pytest.raises(ParamError, match=f"{name} = '{value}'"):
        train(tiny(tmp_path / "not-made", **{name: value}))
    assert not (tmp_path / "not-made").exists()


@pytest.mark.parametrize("kind", ["below a file", "read-only"])
def test_an_unwritable_folder_is_rejected(kind, tmp_path):
    folder = tmp_path / "taken"
    if kind == "below a file":
        folder.write_text("")
        folder /= "checkpoints"
    elif os.geteuid() == 0:  # root may write anywhere but into a file system of the kernel
        folder = Path("/proc/anm")
    else:
        folder.mkdir(mode=0o500)
    with pytest.raises(ParamError, match=r"checkpoint_dir = '.*': must be a folder that can be written to \("):
        train(tiny(folder))


@pytest.mark.parametrize(
    "text, message",
    [
        ("- n\n- 4\n", "must hold lines of the form `name: value`, not list"),
        ("just words\n", "not str"),
        ("", "not NoneType"),
        ("1: 2\n", "`name: value`"),
        ("n: [4\n", "is not YAML"),
        (b"\xff\xfe\x00n", "is not YAML"),
    ],
)
def test_a_yaml_file_of_another_form_is_rejected(text, message, tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ParamError) as caught:
        load_yaml(path)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)


def test_a_yaml_file(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("learning_rate: 1e-4  # text to YAML 1.1\nseeds: 0-9\nresume: no\nn: 20\n")
    assert RunParams(**load_yaml(path)) == RunParams(learning_rate=1e-4, seeds="0-9", resume=False, n=20)
    with pytest.raises(ParamError, match="absent.yaml: cannot be read"):
        load_yaml(tmp_path / "absent.yaml")


def test_with_a_budget_the_number_of_steps_makes_no_other_run():
    one, other = (RunParams(budget_steps=10, train_steps=steps) for steps in (20, 30))
    assert one == other and one.run_id() == other.run_id()
    assert RunParams(train_steps=20).run_id() != RunParams(train_steps=30).run_id()
