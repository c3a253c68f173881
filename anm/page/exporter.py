"""An executed notebook as one offline HTML file, through nbconvert and the template of this folder.

Nothing is loaded from anywhere: nbconvert's own templates ask a CDN for require.js, MathJax, mermaid and
widgets, so ours extends none of them; formulas become MathML. A content security policy in the page lets
no script but ours run and no request leave.
"""

import base64
import hashlib
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent


def to_html(notebook, title: str) -> str:
    """The page of an executed notebook (nbformat node)."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name=HERE.name,
        extra_template_basedirs=[str(HERE.parent)],
        filters={"prose": prose, "heading_id": heading_id, "headings": headings},
    )
    script = (HERE / "page.js").read_text(encoding="utf-8").strip()
    page, _ = exporter.from_notebook_node(
        notebook,
        resources={
            "page": {
                "title": title,
                "style": (HERE / "style.css").read_text(encoding="utf-8"),
                "script": script,
                "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            }
        },
    )
    return page


def prose(markdown: str) -> str:
    """A Markdown cell as HTML; formulas between dollars as MathML, raw HTML as text."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body: str) -> str:
            return mathml(body, "inline")

        def block_math(self, body: str) -> str:
            return f'<div class="formula">{mathml(body, "block")}</div>'

        def heading(self, text: str, level: int, **attributes) -> str:
            return f'<h{level} id="{heading_id(text)}">{text}</h{level}>\n'

    page = MarkdownWithMath(renderer=Renderer(escape=True, exclude_anchor_links=True)).render(markdown)
    return page.replace("<table>", '<div class="scroll" tabindex="0" role="region" aria-label="table"><table>').replace(
        "</table>", "</table></div>"
    )


def mathml(latex: str, display: str) -> str:
    """A formula as MathML."""
    from latex2mathml.converter import convert

    return convert(latex.strip(), display=display)


def headings(markdown: str) -> list[str]:
    """The titles of the sections (level 2) that a Markdown cell opens."""
    return re.findall(r"^## +(.+?)\s*$", markdown, flags=re.MULTILINE)


def heading_id(title: str) -> str:
    """The id of a section, from its title."""
    words = re.sub(r"<[^>]*>|&\w+;", "", title).lower()
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")
