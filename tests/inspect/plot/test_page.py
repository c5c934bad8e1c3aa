"""The page of a network: as text, and in a real browser."""

import base64
import hashlib
import re
import shutil
from html.parser import HTMLParser

import pytest
import torch

from kanzoo.inspect import attribution
from kanzoo.inspect.plot import page
from kanzoo.models import KAN
from kanzoo_bases.chebyshev import Chebyshev

EVIL = "<script>alert(1)</script>"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def make(widths=(2, 5, 1)):
    return KAN(list(widths), Chebyshev, generator=torch.Generator().manual_seed(0))


def data(columns=2):
    return torch.randn(80, columns, generator=torch.Generator().manual_seed(1))


class Elements(HTMLParser):
    """The elements of a page, (name, attributes), and the texts of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts, self._open = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._open = tag == "script"

    def handle_endtag(self, tag):
        self._open = False

    def handle_data(self, text):
        if self._open:
            self.scripts.append(text)

    def of(self, name):
        return [attributes for _, attributes in self.found if attributes.get("class") == name]


def test_each_kept_edge_can_be_focussed_and_has_its_details():
    net = make()
    net[0].mask_edges(torch.tensor([[1, 0], [0, 1], [1, 1], [1, 1], [1, 0]]))
    elements = Elements(page(net, data()))
    edges, details = elements.of("edge"), elements.of("detail")
    assert len(edges) == len(details) == 12
    assert [edge["data-edge"] for edge in edges] == [detail["data-edge"] for detail in details]
    assert all(edge["tabindex"] == "0" and edge["aria-label"] for edge in edges)
    assert "0-0-1" not in {edge["data-edge"] for edge in edges}


def test_opacity_grows_with_the_score():
    net, x = make(), data()
    scores = attribution(net, x).edges
    pairs = []
    for edge in Elements(page(net, x)).of("edge"):
        layer, target, source = map(int, edge["data-edge"].split("-"))
        pairs.append((float(scores[layer][target, source]), float(edge["data-opacity"])))
        assert f"score {pairs[-1][0]:.3g}" in edge["aria-label"]
    opacities = [opacity for _, opacity in sorted(pairs)]
    assert opacities == sorted(opacities)
    assert opacities[0] < opacities[-1] == 1


def test_it_asks_for_nothing_and_its_one_script_is_allowed_by_hash():
    text = page(make(), data())
    elements = Elements(text)
    (script,) = elements.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text.replace("&#39;", "'")
    assert not {"src", "srcset", "xlink:href"} & {name for _, attributes in elements.found for name in attributes}
    assert [attributes["href"] for _, attributes in elements.found if "href" in attributes] == ["data:,"]
    assert not re.search(r"https?://|@import|url\(", text)


def test_foreign_text_is_escaped():
    text = page(make(), data(), names=[EVIL, '"><img src=x>'], outputs=[EVIL], labels={(0, 0, 0): EVIL}, title=f"{EVIL}{{{{7*7}}}}\ud800")
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert "{{7*7}}" in text
    elements = Elements(text)
    assert sum(name == "script" for name, _ in elements.found) == 1
    assert not any(name == "img" for name, _ in elements.found)
    text.encode()


def test_the_same_network_gives_the_same_page():
    assert page(make(), data()) == page(make(), data())


def test_it_is_small():
    assert len(page(make([4, 5, 1]), data(4)).encode()) < 200_000
    assert len(page(make([8, 10, 1]), data(8)).encode()) < 1_000_000


def test_errors_are_those_of_the_diagram():
    with pytest.raises(ValueError, match="names must be 2 texts, got 3"):
        page(make(), data(), names=list("abc"))
    with pytest.raises(ValueError, match="gallery, got 110"):
        page(make([10, 10, 1]), data(10))


@pytest.fixture(scope="module")
def browser():
    executable = shutil.which("chromium")
    if not executable:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Open a page from file://; at the end nothing may have been requested, logged as an error or alerted."""
    contexts, trouble = [], []

    def visit(text, **options):
        file = tmp_path / "index.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(**options)
        context.set_default_timeout(5000)
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", lambda request: trouble.append(request.url) if request.url != file.as_uri() else None)
        tab.on("console", lambda message: trouble.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: trouble.append(str(error)))
        tab.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
        tab.goto(file.as_uri())
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert trouble == []


@pytest.mark.browser
def test_hovering_and_focussing_show_the_curve_in_large(visit):
    net, x = make(), data()
    scores = attribution(net, x).edges
    tab = visit(page(net, x, names=["mass", EVIL], labels={(0, 3, 1): f"sin(x) {EVIL}"}))
    shown = tab.locator(".detail:visible")
    assert shown.count() == 1  # the edge with the highest score, before anything is pointed at
    best = max(float(score.max()) for score in scores)
    assert f"{best:.3g}" in shown.inner_text()
    tab.locator('.edge[data-edge="0-3-1"]').hover()
    assert shown.count() == 1
    told = shown.inner_text()
    assert f"{EVIL} → h1.4" in told
    assert f"sin(x) {EVIL}" in told
    assert f"{float(scores[0][3, 1]):.3g}" in told
    assert shown.locator("svg path.curve").bounding_box()["width"] > 300
    tab.mouse.move(1, 1)
    assert shown.inner_text() == told  # so that it can be read and selected
    tab.locator('.edge[data-edge="1-0-4"]').focus()
    assert "h1.5 → y" in shown.inner_text()
    assert tab.locator(".line.on").get_attribute("id") == "line-1-0-4"


@pytest.mark.browser
def test_the_keyboard_steps_through_the_edges(visit):
    tab = visit(page(make(), data()))
    places = []
    for _ in range(15):
        tab.keyboard.press("Tab")
        places.append(tab.evaluate("document.activeElement.dataset.edge"))
        assert tab.locator(".detail:visible").get_attribute("data-edge") == places[-1]
    assert len(set(places)) == 15


@pytest.mark.browser
def test_dark_and_light_differ(visit):
    ask = "getComputedStyle(document.body).backgroundColor"
    light, dark = (
        int(visit(page(make(), data()), color_scheme=scheme).evaluate(ask).removeprefix("rgb(").split(",")[0])
        for scheme in ("light", "dark")
    )
    assert light > 240
    assert dark < 40


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_body_never_scrolls_sideways(visit, width):
    tab = visit(page(make([4, 5, 1]), data(4), title="W" * 200), viewport={"width": width, "height": 844})
    assert tab.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.browser
def test_without_javascript_all_curves_are_listed(visit):
    assert visit(page(make(), data()), java_script_enabled=False).locator(".detail:visible").count() == 15
