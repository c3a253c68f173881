"""Exports: the results of a folder of executed notebooks in the formats of other tools."""

from pathlib import Path

from anm.analysis.folder import ANALYSIS
from anm.exports.mlflow_store import write_mlflow
from anm.exports.model_card import write_model_card
from anm.exports.run_crate import write_crate
from anm.params import ParamError
from anm.records.collect import RejectedRun, read_records

__all__ = ["export_folder"]

FORMATS = {"mlflow": write_mlflow, "ro-crate": write_crate, "model-card": write_model_card}


def export_folder(format: str, folder: str | Path, output: str | Path) -> tuple[int, list[RejectedRun]]:
    """Export the complete runs in a folder to `output`; gives their number, and the notebooks left out.

    format: a key of `FORMATS`. Raises `RecordError` if there is no such folder, `ParamError` if it holds no
    complete run, and `MissingPackageError` without the format's package.
    """
    folder, output = Path(folder), Path(output)
    records, refused = read_records(folder)
    refused = [run for run in refused if ANALYSIS not in run.path.suffixes]
    if not records:
        reasons = "".join(f"; {run.path.name}: {run.reason}" for run in refused)
        raise ParamError(f"{folder}: holds no complete run{reasons}; run the study first")
    FORMATS[format](records, output, folder.name)
    return len(records), refused
