"""Parts of a page: foreign text is escaped, figures share a page, nothing is loaded, everybody can use it."""

import base64
import csv
import io
import re
import xml.etree.ElementTree as ElementTree

import nbformat
import pandas as pd
import pytest
from wcag import contrast

from anm.report import page, plot_style, plots
from anm.report.page import drawing, exporter

SCRIPT = "</td></script><script>alert(1)</script><img src=x onerror=alert(1)>"


def points(ax):
    scores = pd.DataFrame({"run": SCRIPT, "strategy": ["none", "random"], "seed": [0, 0], "mse": [0.1, 0.2]})
    return plots.seed_points(scores, {"affine": 0.15}, ax=ax)


def notebook(*cells):
    made = nbformat.v4.new_notebook()
    for cell in cells:
        if isinstance(cell, str):
            made.cells.append(nbformat.v4.new_markdown_cell(cell))
        else:
            made.cells.append(
                nbformat.v4.new_code_cell(
                    "secret_source()", outputs=[nbformat.v4.new_output("display_data", data=cell)]
                )
            )
    return made


def test_html_escapes_values_and_keeps_markup():
    assert page.html("<b>{}</b>{}", "<i>", page.html("<u>{}</u>", 3)) == "<b>&lt;i&gt;</b><u>3</u>"
    assert page.items(["<a>"]) == '<ul class=""><li>&lt;a&gt;</li></ul>' and page.items([]) == ""


@pytest.mark.parametrize("place", ["caption", "column", "cell", "title", "sort", "id", "kind", "head"])
def test_a_table_escapes_every_place(place):
    given = {
        name: SCRIPT if name == place else "x"
        for name in ("caption", "column", "cell", "title", "sort", "id", "kind", "head")
    }
    made = page.table(
        given["caption"],
        [given["column"], "y"],
        [[given["head"], page.Cell(given["cell"], sort=given["sort"], title=given["title"])]],
        ids=[given["id"]],
        kinds=[given["kind"]],
        fold=True,
    )
    assert "<script" not in made and "<img" not in made and "&lt;script&gt;" in made


def test_a_table_shows_a_missing_value_as_a_dash_and_has_row_headings():
    made = page.table("t", ["a", "b"], [["row", None]])
    assert "<td>—</td>" in made and '<th scope="row">row</th>' in made and '<th scope="col">' in made


def test_a_download_holds_its_data():
    made = page.download("a.csv", "x,y\n1,ü\n", "text/csv")
    assert base64.b64decode(re.search('base64,([^"]*)', made)[1]).decode() == "x,y\n1,ü\n"


@pytest.mark.parametrize("name", ["javascript:alert(1).ipynb", 'a"b<c>.ipynb', "\udcff.ipynb", "a b?#.ipynb"])
def test_a_link_is_a_file_beside_the_page(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    address = re.search('href="([^"]*)"', page.link(tmp_path / name, "x"))[1]
    assert address.startswith("./") and not set(address) & set(' "<>:?#')


def test_anchors_are_stable_and_plain():
    assert page.anchor(SCRIPT) == page.anchor(SCRIPT) != page.anchor("none") and re.fullmatch(
        "run-[0-9a-f]{10}", page.anchor(SCRIPT)
    )


def test_a_figure_is_well_formed_labelled_and_escaped():
    made = page.figure("one", [("same", points), ("<b>", points)], SCRIPT, alt=f'"{SCRIPT}"')
    assert "<script" not in made and "<img" not in made
    drawn = re.findall(r"<svg.*?</svg>", made, re.DOTALL)
    assert len(drawn) == 2
    for svg in drawn:
        root = ElementTree.fromstring(svg)
        assert (
            root.get("role") == "img"
            and SCRIPT in root.get("aria-label")
            and root.get("viewBox")
            and not root.get("width")
        )


def test_hovering_a_point_shows_its_run_and_nothing_links_anywhere():
    svg = page.figure("one", [("same", points)], "", alt="")
    titles = re.findall("<title>([^<]*)</title>", svg)
    assert len(titles) == 2 and titles[0].startswith("none, seed 0: 0.1 (&lt;/td&gt;")
    assert "<a " not in svg and "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)


def test_figures_on_one_page_share_no_id_and_refer_to_their_own():
    made = page.figure("one", [("a", points), ("b", points)], "", "") + page.figure("two", [("a", points)], "", "")
    ids = re.findall(r' id="([^"]*)"', made)
    assert len(ids) == len(set(ids)) > 6
    used = re.findall(r"url\(#([^)]*)\)", made) + re.findall(r'href="#([^"]*)"', made)
    assert used and set(used) <= set(ids)


def test_the_same_figure_gives_the_same_text():
    assert page.figure("one", [("a", points)], "", "") == page.figure("one", [("a", points)], "", "")


def test_every_colour_of_a_figure_is_one_of_the_page():
    svg = page.figure("one", [("a", points)], "", "")
    colours = set(re.findall(r"#[0-9a-f]{6}", svg))
    assert colours and colours <= set(drawing.COLOURS)
    assert not re.search(r"(?<!, )#[0-9a-f]{6}", svg), "a colour that does not change with the page"


def palettes() -> dict[str, dict[str, str]]:
    """Each palette of the style sheet, over the first."""
    style = (exporter.HERE / "style.css").read_text()
    blocks = re.findall(r"(@media[^{]*)?\{?\s*:root \{(.*?)\}", style, re.DOTALL)
    first = dict(re.findall(r"(--[\w-]+): (#\w{6})", blocks[0][1]))
    return {
        (condition.strip() or "light"): first | dict(re.findall(r"(--[\w-]+): (#\w{6})", body))
        for condition, body in blocks
    }


def test_text_and_lines_contrast_with_the_paper_in_each_palette():
    assert len(palettes()) == 5
    for condition, palette in palettes().items():
        if "contrast" in condition and "dark" in condition:
            palette = palettes()["@media (prefers-color-scheme: dark)"] | {
                k: v for k, v in palette.items() if v != palettes()["light"].get(k)
            }
        for text in ("--ink", "--muted", "--link"):
            for paper in ("--paper", "--raised", "--warn-paper"):
                assert contrast(palette[text], palette[paper]) >= 4.5, (condition, text, paper)
        for name in drawing.COLOURS.values():
            if name.startswith("--series"):
                assert contrast(palette[name], palette["--paper"]) >= 3, (condition, name)


def test_the_light_palette_has_the_colours_of_the_figures():
    assert {name: colour for colour, name in drawing.COLOURS.items()}.items() <= palettes()["light"].items()
    assert plot_style.INK in drawing.COLOURS


def test_a_page_has_first_screen_contents_and_sections_but_no_code():
    made = page.to_html(
        notebook("# Title", {"text/html": "<p>verdict</p>"}, "## One & two\ntext", {"text/plain": "<x>"}, "## Three"),
        "A <title>",
    )
    assert made.index("verdict") < made.index("<nav") < made.index("<section")
    assert re.findall(r'href="#([\w-]+)">', made)[1:] == ["one-two", "three"]
    assert all(f'id="{name}"' in made for name in ("one-two", "three", "page"))
    assert "secret_source" not in made and "&lt;x&gt;" in made and "<title>A &lt;title&gt;</title>" in made


def test_a_page_loads_nothing_and_runs_its_own_script_alone():
    made = page.to_html(notebook("# T", "## S\n$x$"), "T")
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", made))
    assert addresses <= {"http://www.w3.org/1998/Math/MathML", "http://www.w3.org/2000/svg"}
    assert made.count("<script") == 1 and " src=" not in made and "default-src 'none'" in made


def test_formulas_are_mathml_and_raw_html_in_prose_is_text():
    made = exporter.prose("Energy $E(x)$ <script>alert(1)</script>\n\n$$x_t = \\sqrt{\\bar\\alpha_t}\\, x_0$$")
    assert made.count("<math") == 2 and '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in made
    assert "<msqrt>" in made and "$" not in made and "<script" not in made


def test_every_formula_of_the_analysis_becomes_mathml():
    source = nbformat.read(exporter.HERE.parents[2] / "notebooks" / "analysis.ipynb", as_version=4)
    made = "".join(exporter.prose(cell.source) for cell in source.cells if cell.cell_type == "markdown")
    text = re.sub(r"<[^>]*>", "", made)
    assert made.count("<math") > 10 and "$" not in text and "\\" not in text


@pytest.mark.parametrize("wide_font", [False, True])
def test_everything_that_scrolls_has_a_name_and_takes_the_focus(open_page, axe, tmp_path, wide_font):
    formula = f"$$x_t = \\sqrt{{\\bar\\alpha_t}}\\, ({' + '.join(f'x_{k}' for k in range(20))})$$"
    code, cells = f"`{'code' * 30}` and\n\n    {'word ' * 40}", f"| a | b<c |\n|---|---|\n| 1 | {'2' * 60} |"
    prose = f"## One\nInline $E(x)$ and {code}\n\n{formula}\n\n{cells}"
    table = page.table("scores", [f"column {k}" for k in range(9)], [range(9)])
    path = tmp_path / "page.html"
    path.write_text(page.to_html(notebook("# T", prose, {"text/html": table}, {"text/plain": "long " * 60}), "T"))
    opened, _ = open_page(path, 390, wide_font=wide_font, bypass_csp=True)
    scrolling = opened.evaluate("""[...document.querySelectorAll('body *')]
        .filter(e => e.scrollWidth > e.clientWidth && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
        .map(e => [e.tabIndex, e.getAttribute('role'), e.getAttribute('aria-label')])""")
    names = {name.partition(":")[0] for tab, role, name in scrolling if tab == 0 and role == "region"}
    assert len(scrolling) == 3 and names == {"formula", "table", "scores"}
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    assert axe(opened) == []


def test_formulas_and_tables_in_prose_are_named_by_their_text():
    made = exporter.prose("$$a < b$$\n\n| x | *y* & z |\n|---|---|\n| 1 | 2 |\n")
    assert re.findall(r'role="region" tabindex="0" aria-label="([^"]*)"', made) == [
        "formula: a &lt; b",
        "table: x, y &amp; z",
    ]


def test_an_error_in_the_analysis_shows_as_text():
    made = notebook("# T")
    made.cells.append(
        nbformat.v4.new_code_cell(
            "x", outputs=[nbformat.v4.new_output("error", ename="E", evalue=SCRIPT, traceback=[])]
        )
    )
    shown = page.to_html(made, "T")
    assert "E: &lt;/td&gt;" in shown and "<img" not in shown


def test_text_in_csv_is_never_a_formula():
    from anm.report.data_files import to_csv

    rows = list(
        csv.reader(io.StringIO(to_csv(pd.DataFrame({"run": ["=cmd()", "a,b\n", "-1"], "mse": [-0.5, 1.0, 2.0]}))))
    )
    assert rows == [["run", "mse"], ["'=cmd()", "-0.5"], ["a,b\n", "1.0"], ["'-1", "2.0"]]
