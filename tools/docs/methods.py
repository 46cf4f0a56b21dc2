"""The catalogue of compression methods, family by family."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from toolchain.cli.commands.methods import SHORT, savings, sentence
from toolchain.compress.catalogue import Method, all_methods
from tools.docs.markdown import code, table


def catalogue() -> str:
    """A heading and a table for every family."""
    parts = []
    for (family, step), group in itertools.groupby(all_methods(), key=lambda method: (method.family, method.step)):
        columns, rows = (_networks if step == "start" else _methods)(list(group))
        parts += [f"## {sentence(family)}", table(columns, rows)]
    return "\n\n".join(parts)


def _methods(methods: Sequence[Method]) -> tuple[list[str], list[list[str]]]:
    columns = ["method", "what it does", "saves", "needs", "tasks", "limits", "by", "paper"]
    rows = [
        [
            f"`{m.name}`",
            sentence(m.title),
            savings(m, SHORT),
            ", ".join(m.needs) or "nothing",
            ", ".join(m.tasks),
            m.limits,
            m.library or "Edgewright",
            m.paper,
        ]
        for m in methods
    ]
    return columns, rows


def _networks(methods: Sequence[Method]) -> tuple[list[str], list[list[str]]]:
    columns = ["network", "what it is", "parameters", "multiply-accumulates", "limits", "by", "paper"]
    rows = []
    for method in methods:
        m = method.as_dict()
        at = "x".join(map(str, m["input_shape"][2:]))
        size = [f"{m['params']:,}", f"{m['macs']:,} at {at}"]
        told = [method.limits, m["library"], method.paper]
        rows.append([f"{method.name}: {code([m['source']])}", sentence(method.title), *size, *told])
    return columns, rows
