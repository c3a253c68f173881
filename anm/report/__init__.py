"""The report: executed notebooks to one offline HTML file.

    from anm.report import build_report
    build_report("reports/quick")          # -> reports/quick/summary.html

`findings` gathers the folder, `words` says what the numbers say, `figures` and `tables` show them;
notebooks/analysis.ipynb puts them in order, and anm.page makes it a page.
"""

from anm.report import figures, gallery, observations, products, sweeps, tables
from anm.report.build import build_report
from anm.report.findings import Findings, gather
from anm.report.words import verdict

__all__ = [
    "Findings",
    "build_report",
    "figures",
    "gallery",
    "gather",
    "observations",
    "products",
    "sweeps",
    "tables",
    "verdict",
]
