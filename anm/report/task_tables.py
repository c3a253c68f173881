"""The page's tables about tasks: what was solved, and what every task allows without training."""

from anm.analysis.results import StudyResults
from anm.baselines.floors import read_floors, score_text
from anm.params import ParamError
from anm.report.page import Cell, Html, paragraphs, table


def task_descriptions(results: StudyResults) -> Html:
    """Each task of the study in its own words."""
    found = {}
    for energy in results.energies:
        try:
            task = results.params(energy).task_object()
            found[task.name] = task.description()
        except ParamError as error:  # a task of the user's own that is not here
            found[str(error)] = str(error)
    return paragraphs(part for text in found.values() for part in text.split("\n\n"))


def floor_table() -> Html:
    """Scores of answers without a trained network: every registered task at each of its sizes."""
    rows = [
        [
            f"{row['task']}, n = {row['n']}",
            row["reference"],
            row["kind"],
            *(Cell(score_text(row[split], row[f"{split}_se"]), sort=row[split]) for split in ("same", "harder")),
        ]
        for row in read_floors().to_dict("records")
    ]
    return table("Floors of every task", ["task", "answer without training", "kind", "same", "harder"], rows, fold=True)
