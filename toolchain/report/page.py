"""The page: everything that was read and computed, put through the templates, written in one piece."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import toolchain
from profiles.errors import OutputError
from toolchain.report import sections, shown
from toolchain.report.bundles import bundle
from toolchain.report.charts import distribution as spread
from toolchain.report.charts import scatter as trade
from toolchain.report.charts.marks import px
from toolchain.report.compression import compression, verdict
from toolchain.report.entries import Build
from toolchain.report.format_words import format_sentences, smaller, unmeasured
from toolchain.report.formats import groups
from toolchain.report.gains import gains
from toolchain.report.headline import tiles
from toolchain.report.load import load_build
from toolchain.report.ranking import LATENCY, budget_sentence, fastest_sentences, gain_sentences, shortfalls
from toolchain.report.stats import FEWEST_SAMPLES
from toolchain.report.table import table
from toolchain.report.words import KINDS, listing

TEMPLATES = Path(__file__).parent / "templates"
STYLES = ("style.css", "charts.css", "formats.css", "cycles.css", "narrow.css")
PAGE = "report.html"
# What HTML cannot carry: control characters other than white space, and halves of surrogate pairs.
_UNPRINTABLE = dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(0xD800, 0xE000)], "\ufffd")


def render_report(build_dir: Path) -> str:
    """The page for what lies in ``build_dir``: one HTML document that needs nothing else.

    The same files give the same page, byte for byte; a time is shown only where the summary has one.

    Raises:
        ConfigError: there is no ``summary.json``, or one of the files is damaged.
    """
    template = environment().get_template("report.html.j2")
    return printable(template.render(_context(build_dir)))


def printable(text: str) -> str:
    """Without characters that HTML cannot carry."""
    return text.translate(_UNPRINTABLE)


def write_report(build_dir: Path) -> Path:
    """Write the page to ``build_dir/report.html``, whole or not at all, and return its path.

    Raises:
        ConfigError: as :func:`render_report`.
        OutputError: the file cannot be written.
    """
    content = render_report(build_dir).encode("utf-8")
    path = build_dir / PAGE
    try:
        _replace(path, content)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written",
            seen=error.strerror or str(error),
            next_step="free some space, or make the folder writable",
        ) from error
    return path


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def environment() -> Environment:
    """Everything is escaped: names of models, layers and devices come from users."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["px"] = px
    return environment


def verdicts(build_dir: Path) -> list[str]:
    """What the page says first, in sentences: the budget, the fastest of each kind, and what did not help.

    Raises:
        ConfigError: as for :func:`render_report`.
    """
    build = load_build(build_dir)
    entries = build.entries
    return [
        budget_sentence(entries),
        *shortfalls(entries),
        *fastest_sentences(entries),
        *gain_sentences(entries),
        *(sentence for group in groups(build) for sentence in format_sentences(group)),
        *([f"Compression: {verdict(build.compression)}."] if build.compression else []),
    ]


def _context(build_dir: Path) -> dict[str, Any]:
    build = load_build(build_dir)
    entries = build.entries
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    return {
        "version": toolchain.__version__,
        "build": build,
        "style": Markup("".join((TEMPLATES / name).read_text(encoding="utf-8") for name in STYLES)),
        "script": Markup(script),
        "script_hash": script_hash(script),
        "kinds": list(KINDS.values()),
        "verdict": budget_sentence(entries),
        "sentences": [*fastest_sentences(entries), *shortfalls(entries), *_about_formats(build)],
        "table": table(entries),
        "compression": compression(build.compression),
        "bundles": [bundle(entry) for entry in entries],
        "opened": next((e.number for e in entries if e.errors), 1),
        "machines": sections.machines(entries),
        "disturbances": sections.disturbances(entries),
        "versions": sections.versions(entries),
        "unavailable": sections.unavailable_figures(entries),
        "absent": [sentence for entry in entries for sentence in entry.missing],
        **_charts(build),
    }


def _about_formats(build: Build) -> list[str]:
    """At the top of the page: a smaller format that does not beat fp16, with the device's name, and what never ran."""
    found = [(group.title, sentence) for group in groups(build) for sentence in smaller(group)]
    slow = [f"On {title}: {sentence}" for title, sentence in found if "is faster" not in sentence]
    return [*slow, *(sentence for group in groups(build) for sentence in unmeasured(group))]


def _charts(build: Build) -> dict[str, Any]:
    """Charts in two sizes, of which the style sheet shows one, and the links to what there is."""
    entries = build.entries
    pairs = gains(entries)
    rows = [spread.distribution(entries, spread.WIDE, "wide"), spread.distribution(entries, spread.NARROW, "narrow")]
    up = any(entry.metric("accuracy") and entry.metric(LATENCY) for entry in entries)
    vertical = "accuracy" if up else "model_size"
    points = [
        trade.scatter(entries, trade.WIDE, "wide", vertical),
        trade.scatter(entries, trade.NARROW, "narrow", vertical),
    ]
    bare = [e.label for e in entries if e.spread and len(e.metrics[LATENCY].samples or ()) < FEWEST_SAMPLES]
    single = [e.label for e in entries if e.metric(LATENCY) and not e.spread]
    drawn: dict[str, Sequence[object]] = {"spread": [c for c in rows if c], "trade": [c for c in points if c]}
    drawn |= {"formats": shown.formats(build), "sweeps": shown.batches(build), "cycles": shown.cycles(build)}
    there = {**drawn, "gain": pairs, "details": entries, "compressed": build.compression}
    return {
        **drawn,
        "trade_up": up,
        "no_samples": listing(bare),
        "no_spread": listing(single),
        "gains": pairs,
        "tiles": tiles(entries, pairs),
        "anchors": [(anchor, title) for needs, anchor, title in _ANCHORS if not needs or there[needs]],
    }


#: What a section needs to be on the page, its anchor and its name in the list of links.
_ANCHORS = (
    ("", "bundles", "Bundles"),
    ("compressed", "compression", "Compression"),
    ("spread", "latency", "Latency"),
    ("trade", "tradeoff", "Trade-off"),
    ("gain", "gain", "Precision"),
    ("formats", "formats", "Number formats"),
    ("sweeps", "batches", "Batch sizes"),
    ("cycles", "cycles", "Cycles"),
    ("details", "details", "Bundle by bundle"),
    ("", "machine", "Machine and versions"),
    ("", "missing", "Unavailable"),
)


def script_hash(script: str) -> str:
    """For the content security policy: this script runs, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
