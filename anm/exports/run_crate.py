"""A Workflow Run RO-Crate: the executed notebooks, each with its settings, times, machine and scores as linked data.

Source: Workflow Run Crate 0.5, https://w3id.org/ro/wfrun/workflow/0.5, and the profiles that it extends.
"""

from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from anm.params import ParamError, RunParams
from anm.records.provenance import version
from anm.records.schema import SPLITS
from anm.utils.locations import FILES
from anm.utils.optional import optional_import

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
QUESTION = "Do mined negatives help an energy-based diffusion model to reason?"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
LICENSE = "https://spdx.org/licenses/MIT"
NOTEBOOK = {"encodingFormat": "application/x-ipynb+json"}
TYPES = {bool: "Boolean", int: "Integer", float: "Float"}  # the others are Text
MEASURED = tuple(f"{split}_mse" for split in SPLITS)  # results of a run beside its notebook, one value per seed


def write_crate(records: dict[Path, dict], output: Path, study: str) -> None:
    """Write the crate of these runs to the folder `output`. Raises `ParamError` if that is not new or empty."""
    rocrate = optional_import("rocrate.rocrate", "ro-crate")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ParamError(f"output = '{output}': must be a new or an empty folder; move it away, or give --output")
    crate = rocrate.ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    describe_root(crate, records, study)
    workflow = add_train_notebook(crate)
    for path, record in records.items():
        crate.root_dataset.append_to("mentions", add_run(crate, workflow, path, record))
    for page in sorted(next(iter(records)).parent.glob("summary.html")):
        crate.add_file(page, properties={"name": "The report of the study", "encodingFormat": "text/html"})
    crate.write(output)


def add_entity(crate, identifier: str, **properties):
    """Add a contextual entity, or give the one of this id."""
    model = optional_import("rocrate.model.contextentity", "ro-crate")
    known = crate.get(identifier)
    return known or crate.add(model.ContextEntity(crate, identifier, properties=properties))


def describe_root(crate, records: dict[Path, dict], study: str) -> None:
    """Name, description, licence, date and profiles of the crate."""
    strategies = dict.fromkeys(record["params"]["strategy"] for record in records.values())
    crate.name = f"anm study: {study}"
    crate.description = f"{QUESTION} {len(records)} executed notebooks of the strategies {', '.join(strategies)}."
    crate.license = add_entity(crate, LICENSE, **{"@type": "CreativeWork", "name": "MIT License"})
    crate.datePublished = max(run_times(record)[1] for record in records.values())
    for identifier, (name, edition) in PROFILES.items():
        profile = add_entity(crate, identifier, **{"@type": "CreativeWork", "name": name, "version": edition})
        crate.root_dataset.append_to("conformsTo", profile)


def add_train_notebook(crate):
    """Add the workflow: notebooks/train.ipynb, with every setting as a formal parameter."""
    model = optional_import("rocrate.model.computerlanguage", "ro-crate")
    about = {"name": "Train and score one strategy", "version": version("anm"), "license": {"@id": LICENSE}}
    jupyter = {"name": "Jupyter notebook", "url": {"@id": "https://jupyter.org/"}}
    language = crate.add(model.ComputerLanguage(crate, "#jupyter", properties=jupyter))
    profile = {"conformsTo": {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"}}
    source = FILES / "notebooks" / "train.ipynb"
    workflow = crate.add_workflow(
        source, "train.ipynb", properties=about | NOTEBOOK | profile, main=True, lang=language
    )
    for name, value in RunParams().resolved().items():
        workflow.append_to("input", add_slot(crate, f"#setting-{name}", name, TYPES.get(type(value), "Text")))
    workflow.append_to("output", add_slot(crate, "#notebook", "executed notebook", "File"))
    for name in MEASURED:
        workflow.append_to("output", add_slot(crate, f"#{name}", name, "Float"))
    return workflow


def add_slot(crate, identifier: str, name: str, kind: str):
    """Add a formal parameter of the workflow."""
    return crate.add_formal_parameter(name, kind, identifier=identifier)


def add_run(crate, workflow, path: Path, record: dict):
    """Add one executed notebook: a file, and the action that made it from the workflow and the settings."""
    params, source = record["params"], record["provenance"]
    started, ended = run_times(record)
    settings = [add_value(crate, f"#setting-{name}", name, value) for name, value in params.items()]
    about = {"name": f"Executed notebook of {path.stem}", "exampleOfWork": {"@id": "#notebook"}}
    notebook = crate.add_file(path, path.name, properties=about | NOTEBOOK)
    link_example(crate, "#notebook", notebook)
    scores = [
        add_value(crate, f"#{name}", name, record["results"][name.removesuffix("_mse")]["mse"], run=path.stem)
        for name in MEASURED
    ]
    code = f"commit {source['git_commit']}" + (", with uncommitted changes" if source["git_dirty"] else "")
    machine = source["machine"]
    where = f"{machine['cores']} cores of {machine['cpu']}, GPU: {machine['gpu'] or 'none'}"
    action = {
        "name": f"Run of {path.stem}",
        "description": f"anm {source['anm']} ({code}), torch {source['torch']}, Python {source['python']}; {where}",
        "startTime": started,
        "endTime": ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    return crate.add_action(workflow, f"#run-{quote(path.stem)}", settings, [notebook, *scores], action)


def add_value(crate, slot: str, name: str, value, run: str = ""):
    """Add a value of a formal parameter. Runs with an equal setting share it; `run` makes it that run's own."""
    # JSON-LD drops the nulls of a list, and with them the places of the seeds
    shown = ["not finite" if each is None else each for each in value] if isinstance(value, list) else value
    identifier = f"{slot}-{quote(run)}" if run else f"{slot}={quote(str(shown), safe=':,')}"
    entity = add_entity(
        crate, identifier, **{"@type": "PropertyValue", "name": name, "value": shown, "exampleOfWork": {"@id": slot}}
    )
    link_example(crate, slot, entity)
    return entity


def link_example(crate, slot: str, entity) -> None:
    """Name the first value of a formal parameter as its example."""
    parameter = crate.get(slot)
    if parameter is not None and "workExample" not in parameter:
        parameter["workExample"] = entity


def run_times(record: dict) -> tuple[str, str]:
    """When a run started and ended, in ISO 8601."""
    started = datetime.fromisoformat(record["provenance"]["started"])
    ended = started + timedelta(seconds=record["provenance"]["seconds"] or 0)
    return started.isoformat(), ended.isoformat(timespec="seconds")
