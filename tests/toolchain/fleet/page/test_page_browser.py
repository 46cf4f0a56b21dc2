"""The fleet's page in headless Chromium: nothing loaded, nothing on the console, nothing sticking out."""

from __future__ import annotations

import struct

import pytest

from tests.toolchain.browser_site import DARK, brightness, probe, serving
from tests.toolchain.fleet.page.fleet_overviews import crowded, empty, overview
from toolchain.fleet.page import render_page

pytestmark = pytest.mark.browser


@pytest.fixture
def site(tmp_path):
    pages = tmp_path / "pages"
    pages.mkdir()
    for view in (overview, crowded, empty):
        (pages / f"{view.__name__}.html").write_text(render_page(view()), encoding="utf-8")
    with serving(pages) as site:
        yield site


@pytest.mark.parametrize(("page", "pictures"), [("overview", 2), ("crowded", 1), ("empty", 0)])
def test_at_every_width(chromium, site, page, pictures):
    looks = probe(chromium, site, page=f"{page}.html")["looks"]
    assert set(site.asked) == {"/probe.html", f"/{page}.html"}, f"the page asked for more: {site.asked}"
    for look in looks:
        width = look["width"]
        assert brightness(look["background"]) > 600, "the page is dark where a light one is asked for"
        assert look["resources"] == [], f"at {width} px the page loads {look['resources']}"
        assert look["scroll"] <= width, f"at {width} px the page is {look['scroll']} px wide and scrolls sideways"
        size = "chart narrow" if width <= 880 else "chart wide"
        assert look["charts"] == [size] * pictures, f"at {width} px the wrong charts are shown"
        assert look["crowded"] == [], f"at {width} px labels collide or leave the chart: {look['crowded']}"


def test_dark_mode_and_a_screenshot(chromium, site, tmp_path):
    looks = probe(chromium, site, DARK, page="overview.html")["looks"]
    assert brightness(looks[0]["background"]) < 150, "the page does not follow the dark colour scheme"
    picture = tmp_path / "page.png"
    chromium("--window-size=1400,1000", f"--screenshot={picture}", DARK, f"{site.url}/overview.html")
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG"), "no picture was taken"
    assert struct.unpack(">II", content[16:24]) == (1400, 1000), "the picture has another size than the window"
