"""Synthetic studies: folders of executed notebooks whose errors differ by known shares.

from studies import TEN, table_rows, write_study
"""

from bs4 import BeautifulSoup
from records import make_record, write_notebook

from anm.analysis.folder import gather

TEN = range(10)


def write_study(folder, seeds=TEN, change=None, **more):
    """Write runs of none, adversarial and others (`more`); give the results of the folder.

    change: by how much the MSE of adversarial differs from none: a share, or one for each seed; None: no such run.
    """
    base = [0.01 * (1 + 0.001 * ((7 * seed) % 5 - 2)) for seed in seeds]
    for strategy, share in {"none": 0.0, "adversarial": change, **more}.items():
        if share is not None:
            spread = [1e-4 * ((3 * seed) % 4 - 1.5) * (share != 0) for seed in seeds]
            changes = share if isinstance(share, list) else [share + part for part in spread]
            mse = [b * (1 + c) for b, c in zip(base, changes)]
            record = make_record(strategy, seeds=seeds, mse=mse, mse_harder=[20 * m for m in mse])
            write_notebook(folder / f"{strategy}.ipynb", record)
    return gather(folder)


def table_rows(table) -> list[list[str]]:
    """The texts of the cells of an HTML table, row by row, the head first."""
    rows = BeautifulSoup(str(table), "html.parser").find_all("tr")
    return [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in rows]
