"""Figures as inline SVG. Text stays text. Colours are the page's variables, which change between light and dark."""

import hashlib
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anm.report import plot_style
from anm.report.page.markup import Html, html, joined

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
SERIES = dict.fromkeys(colour for colour, *_ in (*plot_style.STRATEGY_STYLES.values(), *plot_style.MORE_STYLES))
COLOURS = {plot_style.INK: "--ink", plot_style.MUTED: "--muted", plot_style.GRID: "--grid", plot_style.BAND: "--band"}
COLOURS |= {colour: f"--series-{place}" for place, colour in enumerate(SERIES)}
PANEL = (5.4, 4.0)  # inches; two fit side by side on a laptop, one fills a phone


def figure(
    name: str, panels: Sequence[tuple[str, Callable[..., Axes]]], caption, alt: str, size=PANEL, kind: str = ""
) -> Html:
    """A figure of several panels, each a title and a function that draws it on `ax`; empty without panels.

    name: the figure's id, of letters and dashes. caption: what to look for. alt: the content for a reader who
    cannot see it. size: of a panel, in inches. kind: further CSS class of the panels. Panels stand side by side where
    there is room, and one below the other on a phone.
    """
    if not panels:
        return Html("")
    drawn = joined(panel(f"{name}-{place}", title, draw, alt, size) for place, (title, draw) in enumerate(panels))
    template = '<figure id="{}"><div class="{}">{}</div><figcaption>{}</figcaption></figure>'
    return html(template, name, f"panels {kind}".strip(), drawn, caption)


def panel(name: str, title: str, draw: Callable[..., Axes], alt: str, size=PANEL) -> Html:
    """One panel as an SVG with a text alternative."""
    with plot_style.report_style():
        drawn = Figure(figsize=size, layout="constrained")
        axes = drawn.add_subplot()
        draw(ax=axes)
        axes.set_title(plot_style.plain_text(title, 60))
        svg = to_svg(drawn, name)
    label = html('<svg role="img" aria-label="{}" ', f"{title}: {alt}" if title else alt)
    return Html(svg.replace("<svg ", str(label), 1))


def to_svg(drawn: Figure, prefix: str) -> str:
    """The figure as SVG for a page with others: no size, ids with `prefix`, the page's font and colours.

    Links "tip:..." become hover texts. The same figure gives the same text.
    """
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    for space, address in (("", SVG), ("xlink", XLINK)):
        ElementTree.register_namespace(space, address)
    root = ElementTree.fromstring(buffer.getvalue())
    _strip(root)
    _own_ids(root, prefix)
    for element in root.iter():
        _tip(element)
        _slim(element)
    _share_styles(root)
    return ElementTree.tostring(root, encoding="unicode")


def _strip(root: ElementTree.Element):
    """Drops metadata, the global style and the outer size."""
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)


def _own_ids(root: ElementTree.Element, prefix: str):
    """Renames the ids in use so that no other figure has them, and drops the others."""
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    names = {old: f"{prefix}-{place}" for place, old in enumerate(sorted(used))}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in names:
            element.set("id", names[old])
        for key, value in list(element.attrib.items()):
            target = value.removeprefix("url(").strip("#)")
            if value.startswith(("#", "url(#")) and target in names:
                element.set(key, value.replace(target, names[target]))


def _tip(element: ElementTree.Element):
    """Turns a link "tip:..." into a group with that hover text, which its whole area shows."""
    address = element.get(f"{{{XLINK}}}href", "")
    if element.tag == f"{{{SVG}}}a" and address.startswith("tip:"):
        element.tag = f"{{{SVG}}}g"
        del element.attrib[f"{{{XLINK}}}href"]
        element.set("pointer-events", "all")  # an outline without fill too
        title = ElementTree.Element(f"{{{SVG}}}title")
        title.text = address.removeprefix("tip:")
        element.insert(0, title)


def _slim(element: ElementTree.Element):
    """Leaves fonts to the page, takes its colours, and rounds coordinates to a hundredth of a point."""
    if style := element.get("style"):
        style = re.sub(r"font-family:[^;]*;? ?", "", style)
        for colour, name in COLOURS.items():
            style = style.replace(colour, f"var({name}, {colour})")
        element.set("style", style)
    for name in element.attrib.keys() & {"d", "x", "y"}:
        element.set(name, re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", element.get(name)))


def _share_styles(root: ElementTree.Element):
    """Writes each style once, as a class. Its name is a hash of the style, so it means the same in every figure."""
    rules = {}
    for element in root.iter():
        if style := element.attrib.pop("style", None):
            name = f"s{hashlib.sha256(style.encode()).hexdigest()[:8]}"
            rules[name] = style
            element.set("class", name)
    shared = ElementTree.Element(f"{{{SVG}}}style")
    shared.text = " ".join(f".{name} {{ {style} }}" for name, style in sorted(rules.items()))
    root.insert(0, shared)
