"""The report: a folder of executed notebooks as one offline HTML page.

    from anm.report import build_report
    build_report("reports/quick")          # -> reports/quick/summary.html

    build_comparison_report("reports/equal-compute", "reports/summary.html")

`gather` reads the folder. `answer` writes the first screen; the modules named `..._table(s)` make the tables,
`figures` and `gallery` the figures. notebooks/analysis.ipynb calls them in order, and `page` makes it one file.
`gather_comparison` reads a declared comparison; the modules named `equal_compute_...` make its page, in the order of
notebooks/comparison.ipynb.
"""

from anm.analysis.equal_compute import ComparisonResults, gather_comparison
from anm.analysis.folder import gather
from anm.analysis.results import StudyResults
from anm.report.answer import verdict
from anm.report.build import build_comparison_report, build_report
from anm.report.equal_compute_answer import answer_sentences, comparison_verdict
from anm.report.equal_compute_figures import write_forest

__all__ = [
    "ComparisonResults",
    "StudyResults",
    "answer_sentences",
    "build_comparison_report",
    "build_report",
    "comparison_verdict",
    "gather",
    "gather_comparison",
    "verdict",
    "write_forest",
]
