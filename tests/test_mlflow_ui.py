"""MLflow's own pages in a real browser: the saved view, the description, the leaderboard as an artifact."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest

from kanzoo import benchmark, experiment
from kanzoo.config import compose
from kanzoo.place import Place
from kanzoo.publish import publish
from kanzoo.tracking import Tracker

playwright = pytest.importorskip("playwright.sync_api")
Page = playwright.Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium"),
    # MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EXPERIMENT = "small/<b>bench</b>"


class Site:
    """A served store with a finished benchmark of two models and two seeds."""

    def __init__(self, address: str, tracker: Tracker, parent: str, models: list[str]) -> None:
        self.address, self.tracker, self.parent = address, tracker, parent
        #: Run names from the best score to the worst.
        self.ranked = models


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], str], tiny: str) -> tuple[Tracker, str, list[str]]:
    uri = new_store(tmp_path_factory.mktemp("ui"))
    tracker = Tracker(uri)
    cells = [cell for model in ("basis.name=chebyshev", "model.name=baseline") for cell in compose(tiny, [model, "seed=0,1"])]
    parent = benchmark._parent(tracker, EXPERIMENT, "small", create=True, reopen=True)
    assert parent is not None
    rows = [experiment.run(cell, Place(uri, EXPERIMENT, parent=parent.run_id)) for cell in cells]
    assert {row.status for row in rows} == {"FINISHED"}
    broken = replace(cells[0], seed=7, config_hash="broken", model_key="broken", model_label="broken")
    rows.append(experiment.record_failure(broken, Place(uri, EXPERIMENT, parent=parent.run_id), "RuntimeError: <script>alert(1)</script>"))
    publish(tracker, EXPERIMENT, parent.run_id, tracker.rows(EXPERIMENT))
    parent.close("FINISHED")
    ranked = sorted(rows[:4], key=lambda row: row.score)
    return tracker, parent.run_id, [f"{row.model} seed={row.seed} on tiny" for row in ranked]


@pytest.fixture(scope="module")
def site(store: tuple[Tracker, str, list[str]]) -> Iterator[Site]:
    tracker, parent, ranked = store
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "kanzoo.cli", "ui", "--port", str(port), "--tracking-uri", tracker.uri]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        limit = time.monotonic() + 120
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < limit
                assert server.poll() is None
                time.sleep(0.2)
        yield Site(f"http://127.0.0.1:{port}", tracker, parent, ranked)
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


@pytest.fixture
def page(site: Site) -> Iterator[Page]:
    """Return a page that may speak with this machine alone."""
    asked: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.set_default_timeout(60_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda websocket: asked.append(websocket.url))
        yield page
        browser.close()
    outside = [url for url in asked if not url.startswith((site.address, "data:", "blob:", "about:"))]
    assert outside == []
    assert len(asked) > 10


def picture(page: Page, name: str) -> None:
    """Save a screenshot where `KANZOO_SCREENSHOTS` says, for people to look at."""
    folder = os.environ.get("KANZOO_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_saved_view_opens_ranked_with_its_columns(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/{site.tracker.view_url(EXPERIMENT, 'Ranking')}")
    page.get_by_text(site.ranked[0]).first.wait_for()
    names = page.locator(".ag-pinned-left-cols-container [role=row] [role=gridcell][col-id='attributes.`Run Name`']").all()
    shown = sorted(names, key=lambda cell: (cell.bounding_box() or {"y": 0})["y"])
    assert [cell.inner_text().splitlines()[-1] for cell in shown] == [*site.ranked, "broken seed=7 on tiny"]
    headers = page.locator(".ag-header-viewport [data-testid^='sort-header-']").all()
    order = [one.inner_text() for one in sorted(headers, key=lambda one: (one.bounding_box() or {"x": 0})["x"])]
    assert order[:3] == ["score", "num_parameters", "train_time_s"]
    assert "5 matching runs" in page.inner_text("body")
    assert page.get_by_text("Error loading shared view state").count() == 0
    assert page.get_by_text("Model training").count() >= 1
    picture(page, "view")


def test_description_of_the_experiment_holds_the_leaderboard(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/{site.tracker.view_url(EXPERIMENT, 'Ranking')}")
    table = page.locator("table", has_text="rmse (lower is better)").first
    table.wait_for(state="attached")
    text = table.inner_text()
    assert "chebyshev(degree=3)" in text
    assert "mlp" in text
    assert "FAILED: RuntimeError: <script>alert(1)</script>" in text  # as text: nothing runs
    page.get_by_test_id("experiment-metadata-editor-edit-button").locator("xpath=following::button[1]").click()  # unfolds
    table.locator("td", has_text="chebyshev").first.click(trial=True)  # really in sight
    page.get_by_text(site.ranked[0]).first.wait_for()
    picture(page, "description")


def test_views_are_offered_by_name(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/{site.tracker.view_url(EXPERIMENT, 'Ranking')}")
    page.get_by_text(site.ranked[0]).first.wait_for()
    page.get_by_role("button", name="Ranking").click()
    page.get_by_text("Runs: tiny").first.wait_for()
    picture(page, "views")


def test_the_view_of_bases_is_grouped(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/{site.tracker.view_url(EXPERIMENT, 'Bases')}")
    page.get_by_text("Group by: basis.name").first.wait_for()
    page.get_by_text("Group: chebyshev").first.wait_for()
    picture(page, "bases")


def test_the_description_leads_to_the_page(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/{site.tracker.view_url(EXPERIMENT, 'Ranking')}")
    link = page.locator("a", has_text="Leaderboard as a page").first
    link.wait_for(state="attached")
    target = str(link.get_attribute("href"))
    assert target.endswith(f"/runs/{site.parent}/artifacts/leaderboard.html")
    page.goto(f"{site.address}/{target[target.index('#') :]}")
    page.frame_locator("iframe").first.locator("h1", has_text="kanzoo leaderboard").wait_for()


def test_leaderboard_opens_as_an_artifact_and_sorts(site: Site, page: Page) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    id_ = site.tracker.experiment_id(EXPERIMENT)
    page.goto(f"{site.address}/#/experiments/{id_}/runs/{site.parent}/artifacts/leaderboard.html")
    frame = page.frame_locator("iframe").first
    rows = frame.locator("table tbody tr")
    rows.first.wait_for()
    before = rows.all_inner_texts()
    assert any("chebyshev" in row for row in before)
    picture(page, "leaderboard")
    header = frame.locator("table thead th", has_text="model").first
    for _ in range(2):
        header.locator("button").first.click() if header.locator("button").count() else header.click()
        after = rows.all_inner_texts()
        if after != before:
            break
    assert after != before
    assert sorted(after) == sorted(before)
    assert dialogs == []
    picture(page, "leaderboard-sorted")


def test_run_page_shows_the_failure_and_its_reason(site: Site, page: Page) -> None:
    (row,) = [row for row in site.tracker.rows(EXPERIMENT) if row.model == "broken"]
    page.goto(f"{site.address}/#/experiments/{site.tracker.experiment_id(EXPERIMENT)}/runs/{row.run_id}")
    page.locator("pre", has_text="RuntimeError: <script>alert(1)</script>").first.wait_for()
    assert "Run it again" in page.inner_text("body")
    picture(page, "failed-run")


def test_curves_are_drawn(site: Site, page: Page) -> None:
    row = next(row for row in site.tracker.rows(EXPERIMENT) if row.status == "FINISHED")
    page.goto(f"{site.address}/#/experiments/{site.tracker.experiment_id(EXPERIMENT)}/runs/{row.run_id}/model-metrics")
    page.locator(".js-plotly-plot, canvas, svg.main-svg").first.wait_for()
    picture(page, "curves")
