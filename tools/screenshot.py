"""``python -m tools.screenshot``: the documents' pictures of pages, light and dark.

Take pages of real runs on a quiet machine: ``make demo``, then this for the report; for the status page of a fleet
``python examples/fleet/demo.py --page build/fleet.html``, then this with ``--as fleet build/fleet.html``.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

from profiles.errors import EdgewrightError, MissingToolError, OutputError, ToolCrashError
from targets.execute import run_program

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
#: CSS pixels of the window, and how many of them from the top are kept.
WIDTH, HEIGHT = 1440, 1400
SCALE = 1.25
LIMIT = 200 * 1024
_QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync"]
_THEMES = {"": [], "-dark": ["--blink-settings=preferredColorScheme=0"]}


def take(report: Path, theme: list[str]) -> Image.Image:
    """The top of the page as headless Chromium shows it.

    Raises:
        MissingToolError: no Chromium.
        ToolCrashError: it took no picture.
    """
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        raise MissingToolError("wanted Chromium", seen="none", next_step="run: sudo apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "page.png"
        window = [f"--window-size={WIDTH},{HEIGHT}", f"--force-device-scale-factor={SCALE}"]
        options = [*_QUIET, *theme, *window, f"--user-data-dir={folder}/profile", f"--screenshot={picture}"]
        done = run_program([program, *options, report.resolve().as_uri()], timeout=120)
        if not picture.is_file():
            raise ToolCrashError("wanted a picture from Chromium", seen=done.stderr[-300:])
        return Image.open(io.BytesIO(picture.read_bytes())).convert("RGB")


def encode(picture: Image.Image) -> bytes:
    """PNG with a palette: a page has few colours.

    Raises:
        OutputError: larger than a page should load.
    """
    stream = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    if stream.tell() > LIMIT:
        raise OutputError("wanted a small picture", seen=f"{stream.tell()} bytes", allowed=f"{LIMIT} bytes")
    return stream.getvalue()


def main() -> int:
    """Write both pictures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshot", description=__doc__)
    parser.add_argument("page", type=Path, nargs="?", default=Path("build/report.html"), help="default: %(default)s")
    parser.add_argument("--as", dest="name", choices=("report", "fleet"), default="report", help="default: %(default)s")
    given = parser.parse_args()
    if not given.page.is_file():
        print(f"there is no {given.page}; the text of --help says how it is made", file=sys.stderr)
        return 2
    try:
        pictures = {f"{given.name}{end}.png": encode(take(given.page, theme)) for end, theme in _THEMES.items()}
    except EdgewrightError as error:
        print(error, file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, content in pictures.items():
        (IMAGES / name).write_bytes(content)
        print(f"{name}: {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
