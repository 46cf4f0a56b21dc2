"""Metrics, kinds and budget keys."""

from __future__ import annotations

from profiles.measurement import METRIC_UNITS, Kind
from toolchain.budget import ANSWERS
from toolchain.cli.output import MARKS
from toolchain.project.sections import Budget
from toolchain.report.words import KINDS, title_of
from tools.docs.markdown import code, table


def kinds() -> str:
    """How a figure may have been obtained, and how that is shown."""
    rows = [
        [
            f"`{kind.value}`",
            words.meaning,
            words.letter,
            MARKS[kind] or ("a dash" if kind is Kind.UNAVAILABLE else "none"),
        ]
        for kind, words in KINDS.items()
    ]
    return table(["kind", "meaning", "badge in the report", "mark in the terminal"], rows)


def metrics() -> str:
    """Every name that ``summary.json`` may hold, with its unit there."""
    rows = [[f"`{name}`", f"`{unit}`", title_of(name)] for name, unit in METRIC_UNITS.items()]
    return table(["name", "unit", "in words"], rows)


def budget_keys() -> str:
    """Every limit, and the figure that it is checked against."""
    rows = [
        [f"`{key}`", Budget.model_fields[key].description or "", " or else ".join(code([name]) for name in names)]
        for key, names in ANSWERS.items()
    ]
    return table(["key", "meaning", "checked against"], rows)
