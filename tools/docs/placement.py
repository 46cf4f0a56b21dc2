"""Where int8 stands in a graph for TensorRT: the docstrings of the rules."""

from __future__ import annotations

from targets.tensorrt.placement.rules import RULES
from tools.docs.markdown import code, table


def rules() -> str:
    """One row per rule, in the order in which they are asked."""
    rows = [
        [rule.name, rule.sentence, code(rule.ops) if len(rule.ops) < 4 else "all", _format(rule.int8)] for rule in RULES
    ]
    return table(["rule", "in words", "operators", "number format"], rows)


def _format(int8: bool) -> str:
    return "int8" if int8 else "float"
