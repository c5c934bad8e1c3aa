"""The rendered page in a real browser: what it asks for, how it sorts, how it looks on a phone and in the dark."""

import math
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kanzoo.leaderboard import render_html
from kanzoo.record import Row

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
EVIL = "<script>alert(1)</script>"


def realistic() -> list[Row]:
    """3 tasks x 9 models x 2 seeds; one model failed on one task, one seed of another, and one ran on another machine."""
    dice = random.Random(0)
    tasks = [
        ("digits_dense", "accuracy", "max", [0.978, 0.974, 0.969, 0.971, 0.962, 0.955, 0.931, 0.966, 0.972]),
        ("feynman[formula=I.6.2]", "rmse", "min", [3.1e-4, 1.2e-4, 8.5e-4, 4.1e-4, 2.3e-3, 9.7e-3, 4.4e-2, 6.0e-3, 1.8e-2]),
        ("moons", "accuracy", "max", [0.991, 0.989, 0.987, 0.990, 0.985, 0.981, 0.976, 0.988, 0.986]),
    ]
    models = {
        "bspline": 81920, "chebyshev": 73728, "fourier": 90112, "gaussian_rbf": 65536, "jacobi(degree=5)": 49152,
        "wav_kan": 24576, "wavelet(name=mexican_hat)": 32768, "mlp": 8874, "mlp(widths=[64,64])": 70922,
    }  # fmt: skip
    rows = []
    for task, score_name, direction, scores in tasks:
        for (model, size), score in zip(models.items(), scores, strict=True):
            for seed in (0, 1):
                failed = (task, model) == ("moons", "wavelet(name=mexican_hat)") or (task, model, seed) == (
                    "digits_dense",
                    "jacobi(degree=5)",
                    1,
                )
                noisy = score + dice.gauss(0, 0.002) if direction == "max" else score * math.exp(dice.gauss(0, 0.1))
                elsewhere = (task, model) == ("digits_dense", "fourier")
                basis = "" if model.startswith("mlp") else model.split("(")[0]
                rows.append(
                    Row(
                        run_id=f"{dice.getrandbits(128):032x}",
                        experiment="small",
                        task=task,
                        task_key=f"key-{task}",
                        model=model,
                        model_key=f"{task}/{model}",
                        basis=basis,
                        plugin="kanzoo 0.1.0",
                        seed=seed,
                        status="FAILED" if failed else "FINISHED",
                        reason="loss became nan in epoch 3: lower lr, or squash the inputs" if failed else "",
                        score_name=score_name,
                        direction=direction,
                        score=math.nan if failed else noisy,
                        num_parameters=size,
                        num_coefficients=size - 74 if basis else 0,
                        train_time_s=size / 6000 * dice.uniform(0.5, 1.6),
                        step_time_ms=size / 40000 * dice.uniform(0.8, 1.2),
                        peak_memory_mb=40 + size / 2000,
                        epochs=20,
                        hardware="9f1c2b" if elsewhere else "4e7d01",
                        cpu="AMD EPYC 9B14" if elsewhere else "Intel Xeon Platinum 8481C",
                        threads=2,
                        torch="2.14.1",
                        kanzoo="0.1.0",
                        config_hash=f"{task}/{model}/{seed}",
                        date=f"2026-11-0{seed + 1}T10:00:00+00:00",
                        command=f"kanzoo run {task.split('[')[0]} 'basis={model}' trainer.lr=0.001 trainer.max_epochs=20 seed={seed}",
                    )
                )
    return rows


def tracked() -> list[Row]:
    """The tasks of `realistic`, and two of them with matched parameters, one for two budgets; operations and latency are known."""
    rows = [replace(row, operations=20 * row.num_parameters, latency_ms=row.num_parameters / 1e5) for row in realistic()]
    for budget, tasks in ((5000, ("digits_dense", "moons")), (20000, ("moons",))):
        rows += [
            replace(
                row,
                track=f"parameters={budget}",
                num_parameters=budget,
                model_key=f"{budget}/{row.model_key}",
                config_hash=f"{budget}/{row.config_hash}",
            )
            for row in realistic()
            if row.task in tasks
        ]
    return rows


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    executable = shutil.which("chromium")
    if not executable:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Open a page for rows from file://; at the end nothing may have been requested, logged as an error or alerted."""
    contexts, requests, errors, dialogs = [], [], [], []

    def visit(rows: list[Row], address: str = "", **options: Any) -> Any:
        file = tmp_path / "index.html"
        file.write_text(render_html(rows), encoding="utf-8")
        context = browser.new_context(**options)
        context.set_default_timeout(5000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url) if request.url != file.as_uri() else None)
        page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(file.as_uri() + address)
        if rows and options.get("java_script_enabled", True):
            page.wait_for_selector("section.task:not([hidden]) svg .point")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert (requests, errors, dialogs) == ([], [], [])


def models(page: Any) -> list[str]:
    return [text.removesuffix("baseline") for text in page.locator("section.task:visible summary").all_text_contents()]


def head(page: Any, name: str) -> Any:
    return page.locator("section.task:visible").get_by_role("columnheader", name=name, exact=True)


def test_a_header_sorts_up_then_down_and_failed_rows_stay_last(visit: Any) -> None:
    page = visit(realistic())
    page.get_by_label("Task").select_option("moons")
    by_rank = models(page)
    assert by_rank[-1] == "wavelet(name=mexican_hat)"
    assert head(page, "#").get_attribute("aria-sort") == "ascending"
    head(page, "parameters").click()
    rising = models(page)
    assert head(page, "parameters").get_attribute("aria-sort") == "ascending"
    assert head(page, "#").get_attribute("aria-sort") is None
    assert rising[:3] == ["mlp", "wav_kan", "jacobi(degree=5)"]
    head(page, "parameters").click()
    assert head(page, "parameters").get_attribute("aria-sort") == "descending"
    assert models(page) == rising[-2::-1] + rising[-1:]
    head(page, "model").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert models(page)[:-1] == sorted(by_rank[:-1])
    page.keyboard.press("Space")
    assert models(page) == sorted(by_rank[:-1], reverse=True) + by_rank[-1:]
    head(page, "#").click()
    assert models(page) == by_rank


def headings(page: Any) -> list[str]:
    return page.locator("section.task:visible h2, section.overall:visible h2").all_text_contents()


def test_the_page_opens_on_the_task_with_most_models(visit: Any) -> None:
    rows = [row for row in realistic() if row.task != "digits_dense" or row.model.startswith("mlp")]
    assert headings(visit(rows))[0] == next(row.task for row in realistic() if row.task != "digits_dense")
    assert headings(visit(realistic()))[0] == "digits_dense"  # all alike: the first


def test_task_and_track_filter_what_is_shown(visit: Any) -> None:
    page = visit(tracked())
    task, track = page.get_by_label("Task"), page.get_by_label("Track")
    assert headings(page) == ["digits_dense", "Overall"]
    assert page.get_by_role("status").inner_text() == "1 of 6 tables"
    task.select_option("moons")
    track.select_option("")
    assert headings(page) == ["moons", "moons, 5,000 parameters", "moons, 20,000 parameters", "Overall", "Overall, matched parameters"]
    track.select_option("20,000 parameters")
    assert headings(page) == ["moons, 20,000 parameters", "Overall, matched parameters"]
    task.select_option("digits_dense")  # which has no such track
    assert track.input_value() == ""
    assert headings(page)[:2] == ["digits_dense", "digits_dense, 5,000 parameters"]
    assert track.locator("option", has_text="20,000").is_disabled()
    task.select_option("all tasks")
    assert len(headings(page)) == 8
    assert page.get_by_role("status").inner_text() == ""
    assert page.locator("section.task:visible svg").count() == 12


def test_the_address_restores_the_view(visit: Any) -> None:
    page = visit(tracked())
    page.get_by_label("Task").select_option("moons")
    page.get_by_label("Track").select_option("5,000 parameters")
    page.get_by_label("Charts against").select_option("memory")
    address = page.evaluate("location.hash")
    assert address == "#task=moons&track=parameters%3D5000&cost=memory"
    again = visit(tracked(), address=address)
    assert headings(again) == ["moons, 5,000 parameters", "Overall, matched parameters"]
    assert again.get_by_label("Charts against").input_value() == "memory"
    again.evaluate("location.hash = 'task=digits_dense'")
    again.locator("h2:visible", has_text="digits_dense").wait_for()
    assert headings(again) == ["digits_dense", "Overall"]
    assert headings(visit(tracked(), address="#task=nowhere&track=%3Cb%3E&cost=")) == ["digits_dense", "Overall"]


def test_the_keyboard_chooses(visit: Any) -> None:
    page = visit(tracked())
    page.locator("body").press("Tab")
    assert page.evaluate("document.activeElement.id") == "task"
    page.keyboard.press("ArrowDown")
    assert headings(page)[0] == "feynman[formula=I.6.2]"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "cost"
    page.keyboard.type("lat")
    assert page.locator("section.task:visible figcaption:visible").all_inner_texts() == ["rmse against latency of a samplelower is better"]


def test_a_chart_for_each_cost_has_its_own_front(visit: Any) -> None:
    page = visit(tracked())
    costs = page.get_by_label("Charts against").locator("option").all_inner_texts()
    assert costs == [
        "parameters and training time", "parameters", "operations a sample", "training time", "latency of a sample", "memory",
    ]  # fmt: skip
    for cost in costs[1:]:
        page.get_by_label("Charts against").select_option(cost)
        assert page.locator("section.task:visible figure:visible").count() == 1
        assert page.locator("section.task:visible .point.best").count() >= 1
        points = page.locator("section.task:visible .point:visible").count()
        assert points == (9 if cost in ("parameters", "operations a sample") else 8), "times of other hardware are left out"


def test_a_narrow_screen_has_minor_columns_among_the_details(visit: Any) -> None:
    page = visit(tracked(), viewport={"width": 390, "height": 844})
    assert head(page, "latency").is_hidden()
    page.locator("section.task:visible summary", has_text="chebyshev").click()
    assert page.locator("section.task:visible dt:visible", has_text="Latency").count() == 1
    wide = visit(tracked())
    assert head(wide, "latency").is_visible()
    wide.locator("section.task:visible summary", has_text="chebyshev").click()
    assert wide.locator("section.task:visible dt:visible", has_text="Latency").count() == 0


def test_one_task_on_one_track_has_nothing_to_choose_but_the_charts(visit: Any) -> None:
    page = visit(realistic()[:18])
    assert [page.locator(f"#{name}").is_visible() for name in ("task", "track", "cost")] == [False, False, True]


def test_the_select_switches_the_task(visit: Any) -> None:
    page = visit(realistic())
    assert page.locator("section.task:visible h2").all_text_contents() == ["digits_dense"]
    page.get_by_label("Task").select_option("feynman[formula=I.6.2]")
    assert page.locator("section.task:visible h2").all_text_contents() == ["feynman[formula=I.6.2]"]
    assert models(page)[0] == "chebyshev"
    ticks = page.locator("section.task:visible figure").first.locator(".tick[text-anchor=end]").all_text_contents()
    assert {"0.1", "0.01", "0.001"} & set(ticks), "values over two decades get a logarithmic axis"


def test_a_point_tells_its_numbers_on_hover_and_on_focus(visit: Any) -> None:
    page = visit(realistic())
    tip = page.get_by_role("tooltip")
    assert tip.is_hidden()
    figure = page.locator("section.task:visible figure").first
    assert figure.locator(".point").count() == 9
    figure.locator(".point .reach").first.hover()
    assert "mlp" in tip.inner_text()
    assert "8\u202f874 parameters" in tip.inner_text()
    page.mouse.move(1, 1)
    assert tip.is_hidden()
    figure.locator(".point").nth(1).focus()
    assert "wav_kan" in tip.inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_times_of_other_hardware_are_marked_and_left_out_of_the_chart(visit: Any) -> None:
    page = visit(realistic())
    assert page.locator("section.task:visible figure").nth(1).locator(".point").count() == 8
    assert page.locator("section.task:visible tr", has_text="fourier").inner_text().count("†") == 3


def test_a_row_opens_to_the_command_without_moving_the_columns(visit: Any) -> None:
    page = visit(realistic())
    before = head(page, "seeds").bounding_box()
    page.locator("section.task:visible summary", has_text="chebyshev").click()
    code = page.locator("section.task:visible code:visible", has_text="'basis=chebyshev'").all_inner_texts()
    assert code[1] == f"{code[0]} --print-config"
    assert head(page, "seeds").bounding_box() == before


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_the_body_never_scrolls_sideways(visit: Any, width: int) -> None:
    page = visit(realistic(), viewport={"width": width, "height": 844})
    for task in range(4):
        page.get_by_label("Task").select_option(index=task)
        page.locator("section.task:visible summary").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_charts_follow_the_width(visit: Any) -> None:
    page = visit(realistic(), viewport={"width": 1280, "height": 844})
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator(f"section.task:visible svg[width='{390 - 2 * 16}']").first.wait_for()


def test_dark_and_light_differ(visit: Any) -> None:
    paper = {
        scheme: visit(realistic(), color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    lightness = {scheme: int(colour.removeprefix("rgb(").split(",")[0]) for scheme, colour in paper.items()}
    assert lightness["light"] > 240
    assert lightness["dark"] < 40


def test_foreign_markup_is_inert(visit: Any) -> None:
    image = '"><img src=x onerror=alert(1)>'
    evil: dict[str, Any] = {"task": EVIL, "reason": EVIL, "command": f"</code>{EVIL}{{{{7*7}}}}", "cpu": EVIL, "hardware": image}
    rows = [replace(row, task_key="k", model=f"{EVIL}{image}{row.model}", **evil) for row in realistic()[:18]]
    page = visit(rows)
    page.locator("section.task:visible .point").first.focus()
    assert page.get_by_role("tooltip").inner_text().startswith(EVIL)
    assert page.locator("section.task h2").text_content() == EVIL
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2


def test_it_works_in_a_sandboxed_frame(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content('<iframe sandbox="allow-scripts" style="width:900px;height:700px"></iframe>')
    page.evaluate("html => { document.querySelector('iframe').srcdoc = html }", render_html(realistic()))
    page.frame_locator("iframe").locator("section.task:visible svg .point").first.wait_for()
    assert errors == []
    page.close()


def test_without_javascript_every_task_is_a_table(visit: Any) -> None:
    page = visit(realistic(), java_script_enabled=False)
    assert page.locator("section.task:visible table").count() == 3
    assert page.get_by_label("Task").count() == 0 or page.get_by_label("Task").is_hidden()


@pytest.mark.parametrize(
    "rows", [[], [row for row in realistic() if row.status == "FAILED"], realistic()[:1]], ids=["none", "failed", "one"]
)
def test_thin_data_render(visit: Any, browser: Any, tmp_path: Path, rows: list[Row]) -> None:
    errors: list[str] = []
    page = browser.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content(render_html(rows))
    assert page.locator("section.task:visible").count() == min(len(rows), 1)
    assert errors == []
    page.close()
