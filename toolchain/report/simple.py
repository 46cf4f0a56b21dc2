"""Pages beside the report of a build: what a recipe did, and how sensitive layers are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

import toolchain
from toolchain.compress.rows import Row
from toolchain.report.charts.curves import Drawing
from toolchain.report.compression import compression, verdict
from toolchain.report.page import STYLES, TEMPLATES, environment, printable, script_hash
from toolchain.report.words import KINDS


@dataclasses.dataclass(frozen=True)
class Part:
    """A section: a chart in both sizes, and a table whose first column names the rows."""

    title: str
    note: str
    charts: list[Drawing]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def compression_page(name: str, rows: Sequence[Row]) -> str:
    """The page of ``edgewright compress``: one HTML document that needs nothing else."""
    return _page(name, "compression", f"{verdict(rows)}.", compression=compression(rows), parts=[])


def parts_page(name: str, eyebrow: str, lead: str, parts: Sequence[Part]) -> str:
    """A page of charts and tables."""
    return _page(name, eyebrow, lead, compression=None, parts=parts)


def _page(title: str, eyebrow: str, lead: str, **more: Any) -> str:
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    return printable(
        environment()
        .get_template("simple.html.j2")
        .render(
            title=title,
            eyebrow=eyebrow,
            lead=lead,
            version=toolchain.__version__,
            kinds=list(KINDS.values()),
            style=Markup("".join((TEMPLATES / name).read_text(encoding="utf-8") for name in STYLES)),
            script=Markup(script),
            script_hash=script_hash(script),
            **more,
        )
    )
