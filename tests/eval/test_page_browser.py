"""A report in a real browser: headless Chromium, where one is installed.

Debian's package ``chromium`` will do; ``CHROMIUM`` names another one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from makespan.cli.main import main

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE = 300_000  # milliseconds: machines are busy
_TRIES = 50
_PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = os.environ.get("CHROMIUM") or next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium, or name one in CHROMIUM")
    # Tests may run as root, where Chromium's sandbox cannot.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments, timeout=_PATIENCE)
        yield browser
        browser.close()


class Visit:
    """A report that is opened; what went wrong is noted."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(_PATIENCE)
        self.troubles: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("request", lambda request: self._note(request.url))
        self.address = path.as_uri()
        self.page.goto(self.address)

    def _note(self, url: str) -> None:
        if url != self.address and not url.startswith(("data:", "blob:")):
            self.troubles.append(f"request: {url}")

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *reason: object) -> None:
        self.context.close()

    def plot(self, description: str) -> Any:
        """A picture that has been drawn, scrolled to."""
        place = self.page.locator(f'.plot[aria-label^="{description}"]').first
        place.scroll_into_view_if_needed()
        place.locator("svg.main-svg").first.wait_for()
        return place

    def point_at(self, place: Any, inner: str) -> str:
        """What a picture tells of the largest of its marks of a kind, once the mouse rests on its middle."""
        place.locator(inner).first.wait_for(state="attached")
        boxes = place.locator(inner).evaluate_all(
            """all => all.map(one => one.getBoundingClientRect()).map(box => [box.x, box.y, box.width, box.height])"""
        )
        x, y, width, height = max(boxes, key=lambda box: box[2] * box[3])
        return self._told(place, x + width / 2, y + height / 2)

    def point_at_second_point(self, place: Any) -> str:
        """What a picture tells of the second point of its first lines."""
        # d2p is how plotly itself finds a value's pixel.
        x, y = place.evaluate(
            """place => {
                const [trace, box] = [place._fullData[0], place.getBoundingClientRect()];
                const {xaxis, yaxis} = place._fullLayout;
                const x = box.x + xaxis._offset + xaxis.d2p(trace.x[1]);
                return [x, box.y + yaxis._offset + yaxis.d2p(trace.y[1])];
            }"""
        )
        return self._told(place, x, y)

    def _told(self, place: Any, x: float, y: float) -> str:
        told = place.locator(".hoverlayer tspan.line")
        for attempt in range(_TRIES):  # a busy machine misses some moves
            self.page.mouse.move(x - 3 + attempt % 2, y)
            self.page.mouse.move(x, y, steps=3)
            self.page.wait_for_timeout(200)
            if told.count():
                return " ".join(told.all_text_contents())
        raise AssertionError(f"nothing is told at {x, y}")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    given = ["makespan/JobShop-v0", "--agents", "spt,mwkr,random,lwkr", "--instances", "ft06,la01,la02"]
    assert main(["evaluate", *given, "--out", str(folder / "x")]) == 0
    assert main(["report", str(folder / "x"), "--out", str(folder / "x.html")]) == 0
    return folder / "x.html"


def first_column(page: Any) -> list[str]:
    return page.locator("table.sortable").nth(1).locator("tbody th").all_inner_texts()


def test_it_opens_sorts_and_tells_what_is_pointed_at(browser: Any, report: Path) -> None:
    with Visit(browser, report, viewport={"width": 1200, "height": 900}) as visit:
        page = visit.page
        before = first_column(page)
        head = page.locator("table.sortable").nth(1).locator("thead th").nth(1)
        head.locator("button").click()
        orders = page.locator("table.sortable").nth(1).locator("tbody td:nth-child(2)")
        values = [float(orders.nth(row).get_attribute("data-order")) for row in range(4)]
        assert values == sorted(values)
        assert head.get_attribute("aria-sort") == "ascending"
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        assert [float(orders.nth(row).get_attribute("data-order")) for row in range(4)] == values[::-1]
        page.locator("table.sortable").nth(1).locator("thead button").first.click()
        assert first_column(page) == sorted(before)

        told = visit.point_at(visit.plot("Schedule of"), ".barlayer .point path")
        for part in ("job ", "operation ", "machine ", "start ", "end ", "processing time"):
            assert part in told, told

        plot = visit.plot("Schedule of")
        shown = "all => all.filter((one) => one.style.display !== 'none').map((one) => one.textContent)"
        labels = plot.locator("text.bartext").evaluate_all(shown)
        assert len(labels) >= 18, "most of 36 operations bear their job's number"
        assert set(labels) == set("012345")
        span = "place => place._fullLayout.xaxis.range.reduce((begin, end) => end - begin)"
        whole = plot.evaluate(span)
        buttons = plot.locator("xpath=preceding-sibling::div[@class='buttons']").first
        buttons.get_by_text("Zoom in").click()
        assert plot.evaluate(span) == pytest.approx(whole / 2)
        buttons.get_by_text("Show all").click()
        assert plot.evaluate(span) == pytest.approx(whole)

        assert "worlds within" in visit.point_at(visit.plot("Performance profile"), ".scatterlayer .points path")
        assert visit.troubles == []


def test_it_is_dark_where_that_is_wished_and_changes_at_once(browser: Any, report: Path) -> None:
    def looks(page: Any) -> tuple[str, str, str]:
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        title = visit.plot("Gaps").locator(".xtitle").first.evaluate("node => getComputedStyle(node).fill")
        return background, page.evaluate("getComputedStyle(document.body).color"), title

    with Visit(browser, report, color_scheme="light") as visit:
        light = looks(visit.page)
        visit.page.emulate_media(color_scheme="dark")
        visit.page.wait_for_function(
            "light => getComputedStyle(document.querySelector('.xtitle')).fill !== light", arg=light[2]
        )
        dark = looks(visit.page)
        assert visit.troubles == []
    assert light[0] == "rgb(255, 255, 255)"
    assert light[1] == light[2], "pictures write in the colour of the text"
    assert dark[1] == dark[2]
    assert len({light[0], dark[0]}) == len({light[1], dark[1]}) == 2
    assert brightness(dark[0]) < 60 < 200 < brightness(dark[1])


def brightness(colour: str) -> float:
    numbers = colour.removeprefix("rgb(").removesuffix(")").split(",")
    return sum(map(float, numbers)) / 3


def test_a_phone_shows_all_of_it_without_scrolling_sideways(browser: Any, report: Path, tmp_path: Path) -> None:
    with Visit(browser, report, viewport=_PHONE, is_mobile=True, has_touch=True) as visit:
        page = visit.page
        visit.plot("Schedule of")
        visit.plot("Gaps")
        assert page.evaluate("document.documentElement.scrollWidth") == _PHONE["width"]
        # Fingers need room.
        heights = page.locator("thead button").evaluate_all(
            "all => all.map((one) => one.getBoundingClientRect().height)"
        )
        assert min(heights) >= 40
        picture = tmp_path / "phone.png"
        page.screenshot(path=picture, timeout=_PATIENCE)
        assert picture.stat().st_size > 10_000, "something is to be seen"
        page.locator("thead button").nth(1).tap()
        assert page.locator("thead th[aria-sort=ascending]").count() == 1
        assert visit.troubles == []


def test_without_scripts_tables_and_texts_are_there(browser: Any, report: Path) -> None:
    with Visit(browser, report, java_script_enabled=False) as visit:
        assert visit.page.locator("noscript").inner_text().startswith("Tables and texts are complete")
        assert len(first_column(visit.page)) == 4


EVIL = "<img src=x onerror=window.hurt=1><svg onload=window.hurt=1>%{y}<a href='javascript:window.hurt=1'>z"


def test_no_name_runs_anything(browser: Any, report: Path, tmp_path: Path) -> None:
    folder = tmp_path / "evil"
    shutil.copytree(report.parent / "x", folder)
    for path in [folder / "results.json", *(folder / "schedules").glob("*.json")]:
        path.write_text(path.read_text().replace('"mwkr"', f'"./{EVIL}"').replace('"ft06"', f'"{EVIL}"'))
    assert main(["report", str(folder), "--out", str(tmp_path / "x.html")]) == 0
    with Visit(browser, tmp_path / "x.html", viewport={"width": 1200, "height": 900}) as visit:
        # Labels and what they tell are where plotly would read tags and links.
        visit.point_at(visit.plot("Gaps"), ".scatterlayer .points path")
        visit.point_at(visit.plot("Performance profile"), ".scatterlayer .points path")
        visit.point_at(visit.plot("Schedule of"), ".barlayer .point path")
        assert visit.page.locator("img, .plot a[href^=javascript]").count() == 0
        assert visit.page.evaluate("window.hurt === undefined")
        assert EVIL in visit.page.locator("main").inner_text()
        assert visit.troubles == []


EVERYWHERE = {
    "makespan/SocDag-v0:horizon=600:mtbf=300:mttr=30": ("heft-rt-blind,met", "wifi", ".barlayer .point path", "PE "),
    "makespan/StaticDag-v0": ("list", "topcuoglu", ".barlayer .point path", "job 0, task task_"),
    "makespan/MemoryMapping-v0": ("xla-like,all-hbm", "resnet50_b64_64m", ".barlayer .point path", "bytes "),
    "makespan/AirMobility-v0": ("greedy-profit", "la8-low", "", "flight of aircraft"),
    "makespan/RestlessBandits-v0": ("myopic", "capacity-j20-0", ".heatmaplayer image", "state"),
}


@pytest.mark.slow
def test_schedules_of_every_environment_are_drawn(browser: Any, tmp_path: Path) -> None:
    names = []
    for number, (env, (agents, instance, _, _)) in enumerate(EVERYWHERE.items()):
        names.append(str(tmp_path / str(number)))
        assert main(["evaluate", env, "--agents", agents, "--instances", instance, "--out", names[-1]]) == 0
    assert main(["report", *names, "--out", str(tmp_path / "x.html")]) == 0
    with Visit(browser, tmp_path / "x.html", viewport={"width": 1200, "height": 900}) as visit:
        for number, (_, _, inner, told) in enumerate(EVERYWHERE.values()):
            section = visit.page.locator(f"#evaluation-{number}")
            place = section.locator('.plot[aria-label^="Schedule of"]').first
            place.scroll_into_view_if_needed()
            place.locator("svg.main-svg").first.wait_for()
            assert told in (visit.point_at(place, inner) if inner else visit.point_at_second_point(place))
        visit.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert visit.page.locator(".plot.undrawn").count() == 0
        assert visit.troubles == []
