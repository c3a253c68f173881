"""The RO-Crate, read back with the library of the format and compared with the records."""

import json

import pytest
from rocrate.rocrate import ROCrate

import anm
from anm.exports import export_folder
from anm.params import ParamError


@pytest.fixture
def crate(study, tmp_path):
    export_folder("ro-crate", study, tmp_path / "crate")
    return ROCrate(tmp_path / "crate")


def actions(crate) -> dict:
    """name of the notebook -> the action that made it."""
    return {action["result"][0].id: action for action in crate.root_dataset["mentions"]}


def test_every_run_is_an_action_with_its_settings_times_and_scores(study, crate):
    found = actions(crate)
    assert set(found) == {"none-mlp.ipynb", "adversarial%20mined.ipynb"}
    for name, action in found.items():
        record = anm.read_run(study / name.replace("%20", " "))
        assert action.type == "CreateAction" and action["instrument"] is crate.mainEntity
        assert (action["startTime"], action["endTime"]) == ("2025-01-02T03:04:05+00:00", "2025-01-02T03:04:17+00:00")
        settings = {value["name"]: value["value"] for value in action["object"]}
        assert settings == record["params"]
        scores = {value["name"]: value["value"] for value in action["result"][1:]}
        for split in ("same", "harder"):
            mse = ["not finite" if value is None else value for value in record["results"][split]["mse"]]
            assert scores.pop(f"{split}_mse") == mse
        assert not scores
        assert record["provenance"]["git_commit"] in action["description"]
        assert "2 cores of Test CPU" in action["description"]


def test_the_files_of_the_crate_are_those_of_the_study(study, crate):
    parts = {part.id for part in crate.root_dataset["hasPart"]}
    assert parts == {"train.ipynb", "none-mlp.ipynb", "adversarial%20mined.ipynb", "summary.html"}
    for name in ("none-mlp.ipynb", "adversarial mined.ipynb", "summary.html"):
        assert (crate.source / name).read_bytes() == (study / name).read_bytes()


def test_it_follows_the_profile(crate):
    """The rules of Workflow Run Crate 0.5 that its validator marks as required."""
    root, workflow = crate.root_dataset, crate.mainEntity
    assert {profile.id for profile in root["conformsTo"]} == {
        "https://w3id.org/ro/wfrun/process/0.5",
        "https://w3id.org/ro/wfrun/workflow/0.5",
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
    }
    assert root["license"].id.endswith("/MIT") and root["datePublished"].startswith("2025-01-02")
    assert set(workflow.type) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert workflow["programmingLanguage"].type == "ComputerLanguage"
    for slot in [*workflow["input"], *workflow["output"]]:
        assert slot.type == "FormalParameter" and slot["additionalType"] in "Text Integer Float Boolean File".split()
        assert slot["workExample"]["exampleOfWork"] is slot
    context = json.loads((crate.source / "ro-crate-metadata.json").read_text())["@context"]
    assert context == ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]


def test_nothing_is_overwritten(study, crate):
    with pytest.raises(ParamError, match="must be a new or an empty folder"):
        export_folder("ro-crate", study, crate.source)
