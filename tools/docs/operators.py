"""The operators that run on microcontrollers, and what each asks for: the docstrings of the constraints."""

from __future__ import annotations

from targets.tflite_micro.calls import Rule
from targets.tflite_micro.ops.registry import rules
from tools.docs.markdown import table

#: Operators of no file, which passes of our own make.
_INNER = ("COPY", "TABLE")


def overview() -> str:
    """One row per operator; constraints are sentences."""
    listed = [rule for kind, rule in sorted(rules().items()) if kind not in _INNER]
    return table(["operator", "what is asked of it"], [_row(rule) for rule in listed])


def _row(rule: Rule) -> list[str]:
    sentences = [" ".join((constraint.__doc__ or "").split()) for constraint in rule.constraints]
    return [f"`{rule.kind}`", " ".join(dict.fromkeys(sentences)) or "nothing"]
