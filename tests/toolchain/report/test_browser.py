"""The page in headless Chromium: nothing loaded, nothing on the console, nothing sticking out."""

from __future__ import annotations

import functools
import html
import http.server
import json
import os
import re
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.toolchain.report.fpga_build import make_fpga_build
from tests.toolchain.report.gpu_build import make_gpu_build
from toolchain.report import write_report

pytestmark = pytest.mark.browser
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
DARK = "--blink-settings=preferredColorScheme=0"


class Site:
    """The build folder over HTTP on loopback, with a list of what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format, *args):
                site.asked.append(self.path)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def site(build: Path) -> Iterator[Site]:
    write_report(build)
    shutil.copy(Path(__file__).with_name("probe.html"), build / "probe.html")
    site = Site(build)
    thread = threading.Thread(target=site.server.serve_forever, daemon=True)
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


@pytest.fixture
def chromium(tmp_path: Path):
    """A function that runs the browser and returns its standard output and the lines on its console."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip(
            "headless Chromium is absent, the report was not looked at: apt-get install chromium, or set CHROMIUM"
        )

    def run(*arguments: str) -> tuple[str, list[str]]:
        command = [program, *QUIET, f"--user-data-dir={tmp_path / 'chromium'}", "--enable-logging=stderr", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"Chromium ended with {done.returncode}:\n{done.stderr[-2000:]}"
        return done.stdout, re.findall(r"CONSOLE[^\]]*\] (.*)", done.stderr)

    return run


def probe(chromium: Any, site: Site, *flags: str) -> dict[str, Any]:
    """What the probe page saw; the probe's own line shows that console lines are caught at all."""
    dom, console = chromium("--window-size=1400,1000", "--dump-dom", *flags, f"{site.url}/probe.html")
    assert len(console) == 1 and "the probe has looked" in console[0], f"the page wrote to the console: {console}"
    found = re.search(r'<body id="seen">(.*?)</body>', dom, re.S)
    assert found, f"the probe did not get to the end:\n{dom[-2000:]}"
    seen: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return seen


def brightness(colour: str) -> int:
    """The sum of red, green and blue of ``rgb(r, g, b)``."""
    return sum(map(int, re.findall(r"\d+", colour)))


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
