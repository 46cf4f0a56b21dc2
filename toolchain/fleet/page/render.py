"""The page, put together from an :class:`~toolchain.fleet.store.overview.Overview`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import toolchain
from toolchain.fleet.page import words
from toolchain.fleet.page.chart import charts
from toolchain.fleet.store.overview import Overview, RolloutView
from toolchain.report.charts.marks import px
from toolchain.report.page import printable

TEMPLATES = Path(__file__).parent / "templates"
#: Colours, cards, tables and chips are those of the report.
_SHARED = Path(toolchain.__file__).parent / "report" / "templates"
_STYLES = (_SHARED / "style.css", _SHARED / "charts.css", TEMPLATES / "fleet.css")


def render_page(overview: Overview, *, refresh: float | None = None) -> str:
    """One HTML document that needs nothing else; the same overview gives the same page.

    Args:
        overview: the fleet at one moment.
        refresh: seconds after which a browser asks for the page again; None is never.
    """
    template = _environment().get_template("fleet.html.j2")
    style = "".join(path.read_text(encoding="utf-8") for path in _STYLES)
    context = {
        "o": overview,
        "version": toolchain.__version__,
        "style": Markup(style),
        "refresh": refresh,
        "rollouts": [_rollout(view) for view in overview.rollouts],
        "fleets": [_versions(product, found) for product, found in sorted(overview.versions.items())],
        "words": words,
    }
    return printable(template.render(context))


def _environment() -> Environment:
    """Everything is escaped: names and details come from devices."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["px"] = px
    return environment


def _rollout(view: RolloutView) -> dict[str, Any]:
    totals = {key: sum(getattr(wave, key) for wave in view.waves) for key in words.PARTS}
    devices = sum(wave.devices for wave in view.waves)
    tone, state = words.STATES[view.state]
    return {
        "view": view,
        "id": f"{view.product}-{view.channel}",
        "tone": tone,
        "state": state,
        "devices": devices,
        "totals": {key: number for key, number in totals.items() if number},
        "charts": charts(view),
        "causes": words.causes(view.troubles),
        "widest": max((abs(each.after / each.before - 1) for each in view.outliers if each.before), default=0.0),
    }


def _versions(product: str, found: Any) -> dict[str, Any]:
    rows = sorted(found.items(), reverse=True)
    return {"product": product, "rows": rows, "devices": sum(found.values())}
