"""The report: a folder of executed notebooks as one offline HTML page.

    from anm.report import build_report
    build_report("reports/quick")          # -> reports/quick/summary.html

`gather` reads the folder. `answer` writes the first screen; the modules named `..._table(s)` make the tables,
`figures` and `gallery` the figures. notebooks/analysis.ipynb calls them in order, and `page` makes it one file.
"""

from anm.analysis.folder import gather
from anm.analysis.results import StudyResults
from anm.report.answer import verdict
from anm.report.build import build_report

__all__ = ["StudyResults", "build_report", "gather", "verdict"]
