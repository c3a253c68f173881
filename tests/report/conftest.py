"""A browser for the tests of the report."""

import pytest
from conftest import missing

# Wider than any usual font, so that what can overflow does so on every machine. Chromium shrinks a lone `monospace`.
WIDE_FONT = "* { font-family: monospace, monospace !important; letter-spacing: .2em !important; }"
QUIET = ("gpu", "quic", "background-networking", "component-update", "sync")


@pytest.fixture(scope="session")
def browser(chromium):
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install -e '.[test]'")
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in QUIET)]
    with sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=chromium, args=arguments)


@pytest.fixture
def open_page(browser):
    """open_page(path, width, scheme) -> the page, and its requests and complaints.

    wide_font: forces a font wider than any machine's own.
    """
    contexts = []

    def open_page(path, width=1440, scheme="light", wide_font=False, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page, log = context.new_page(), []
        page.on("request", lambda request: log.append(request.url) if not request.url.startswith("data:") else None)
        page.on("console", lambda message: log.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: log.append(f"error: {error}"))
        page.on("dialog", lambda dialog: log.append(f"dialog: {dialog.message}"))
        page.goto(path.as_uri())
        if wide_font:
            page.add_style_tag(content=WIDE_FONT)
        return page, log

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def axe():
    """axe(page) -> the accessibility violations in it, folds open: (rule, impact, element)."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        missing("axe-playwright-python is not installed: pip install -e '.[test]'")

    def violations(page):
        page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        found = Axe().run(page).response["violations"]
        return [(rule["id"], rule["impact"], rule["nodes"][0]["html"][:200]) for rule in found]

    return violations
