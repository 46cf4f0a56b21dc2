"""What tests of pages in headless Chromium share: the browser, a folder over HTTP, and a page that looks at others."""

from __future__ import annotations

import contextlib
import functools
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

#: It opens the page named in ``?page=`` in frames of several widths and writes down what it sees.
PROBE = Path(__file__).with_name("probe.html")
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
                site.asked.append(self.path.partition("?")[0])

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """The folder over HTTP, with the probe beside the pages."""
    shutil.copy(PROBE, folder / "probe.html")
    site = Site(folder)
    thread = threading.Thread(target=site.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        site.server.server_close()
        thread.join()


def make_chromium(folder: Path) -> Callable[..., tuple[str, list[str]]]:
    """A function that runs the browser and returns its standard output and the lines on its console."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip(
            "headless Chromium is absent, the page was not looked at: apt-get install chromium, or set CHROMIUM"
        )

    def run(*arguments: str) -> tuple[str, list[str]]:
        command = [program, *QUIET, f"--user-data-dir={folder / 'chromium'}", "--enable-logging=stderr", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"Chromium ended with {done.returncode}:\n{done.stderr[-2000:]}"
        return done.stdout, re.findall(r"CONSOLE[^\]]*\] (.*)", done.stderr)

    return run


def probe(chromium: Any, site: Site, *flags: str, page: str = "report.html") -> dict[str, Any]:
    """What the probe page saw; the probe's own line shows that console lines are caught at all."""
    dom, console = chromium("--window-size=1400,1000", "--dump-dom", *flags, f"{site.url}/probe.html?page={page}")
    assert len(console) == 1 and "the probe has looked" in console[0], f"the page wrote to the console: {console}"
    found = re.search(r'<body id="seen">(.*?)</body>', dom, re.S)
    assert found, f"the probe did not get to the end:\n{dom[-2000:]}"
    seen: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return seen


def brightness(colour: str) -> int:
    """The sum of red, green and blue of ``rgb(r, g, b)``."""
    return sum(map(int, re.findall(r"\d+", colour)))
