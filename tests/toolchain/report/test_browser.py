"""The page in headless Chromium: nothing loaded, nothing on the console, nothing sticking out."""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.toolchain.browser_site import DARK, Site, brightness, probe, serving
from tests.toolchain.report.fpga_build import make_fpga_build
from tests.toolchain.report.gpu_build import make_gpu_build
from toolchain.report import write_report

pytestmark = pytest.mark.browser


@pytest.fixture
def site(build: Path) -> Iterator[Site]:
    write_report(build)
    with serving(build) as site:
        yield site


def test_the_page_in_a_browser(chromium, site):
    seen = probe(chromium, site)
    assert set(site.asked) == {"/probe.html", "/report.html"}, f"the page asked for more: {site.asked}"
    for look in seen["looks"]:
        width = look["width"]
        assert brightness(look["background"]) > 600, "the page is dark where a light one is asked for"
        assert look["resources"] == [], f"at {width} px the page loads {look['resources']}"
        assert look["scroll"] <= width, f"at {width} px the page is {look['scroll']} px wide and scrolls sideways"
        assert look["rows"] == 7, "a bundle is missing in the table"
        size = "chart narrow" if width <= 880 else "chart wide"
        assert look["charts"] == [size, size], f"at {width} px the wrong charts are shown"
        assert look["crowded"] == [], f"at {width} px labels collide or leave the chart: {look['crowded']}"


def test_sorting_and_tooltips(chromium, site):
    used = probe(chromium, site)["used"]
    assert not used["shown"]["hidden"] and "latency p50. Measured: perf_counter_ns" in used["shown"]["text"]
    assert used["after"], "Escape does not close the tooltip"
    fastest, stand_in = "local-cpu-litert-int8", "raspberry-pi-5-litert-int8"
    assert used["up"][0] == fastest and used["down"][-2] == fastest, "the measured ones are not sorted by latency"
    assert used["up"][-1] == used["down"][-1] == stand_in, "sorting ranked a stand-in against measured figures"


def test_dark_mode_and_a_screenshot(chromium, site, tmp_path):
    looks = probe(chromium, site, DARK)["looks"]
    assert brightness(looks[0]["background"]) < 150, "the page does not follow the dark colour scheme"
    picture = tmp_path / "page.png"
    chromium("--window-size=1400,1000", f"--screenshot={picture}", DARK, f"{site.url}/report.html")
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG"), "no picture was taken"
    assert struct.unpack(">II", content[16:24]) == (1400, 1000), "the picture has another size than the window"


def test_without_scripts_the_page_is_complete(chromium, site, build):
    page = (build / "report.html").read_text(encoding="utf-8")
    bare = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    (build / "report.html").write_text(bare, encoding="utf-8")
    dom, console = chromium("--dump-dom", f"{site.url}/report.html")
    assert console == [], f"the page wrote to the console: {console}"
    assert dom.count("data-bundle=") == 7 and "perf_counter_ns over 300 runs" in dom and "title=" in dom


def test_the_page_of_a_gpu(chromium, site, build, tmp_path):
    shutil.copy(write_report(make_gpu_build(tmp_path / "gpu")), build / "report.html")
    for look in probe(chromium, site)["looks"]:
        width = look["width"]
        assert look["scroll"] <= width, f"at {width} px the page is {look['scroll']} px wide and scrolls sideways"
        assert len(look["charts"]) == 4, "latency, trade-off, formats and batches each have a picture"
        assert look["crowded"] == [], f"at {width} px labels collide or leave the chart: {look['crowded']}"


@pytest.mark.parametrize("layers", [9, 29])
def test_the_page_of_an_fpga(chromium, site, build, tmp_path, layers):
    shutil.copy(write_report(make_fpga_build(tmp_path / "fpga", layers=layers)), build / "report.html")
    for look in probe(chromium, site)["looks"]:
        width = look["width"]
        assert look["scroll"] <= width, f"at {width} px the page is {look['scroll']} px wide and scrolls sideways"
        assert len(look["charts"]) == 2, "one picture of the queues, one roofline"
        assert look["crowded"] == [], f"at {width} px labels collide or leave the chart: {look['crowded']}"
