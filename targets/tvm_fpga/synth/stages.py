"""What the tools' logs say about how far they are, and about why they gave up."""

from __future__ import annotations

import re
from collections.abc import Sequence

from targets.tvm_fpga.synth.result import RESOURCES, Usage

_STAGES: tuple[tuple[str, str], ...] = (
    (r"stage: (.+)", r"\1"),
    (r"Info: Packing", "packing"),
    (r"Info: Creating initial analytic placement", "placing"),
    (r"Info: Running simulated annealing", "refining the placement"),
    (r"Info: Routing (\d+) arcs", r"routing \1 connections"),
    (r"Info: +\d+ \| +\d+ +\d+ \| +\d+ +\d+ \| +(\d+)\|", r"routing, \1 connections left"),
    (r"Info: Critical path report", "checking the timing"),
)
_USED = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
_ERROR = re.compile(r"^(?:ERROR|Error): ?(.*)$", re.MULTILINE)


def stage_of(line: str) -> str:
    """The stage that a line of a log begins, or nothing."""
    for pattern, words in _STAGES:
        if match := re.match(pattern, line):
            return match.expand(words).strip()
    return ""


def too_many(log: str) -> list[Usage]:
    """What nextpnr counted more of than the device has, in our words."""
    kinds = {cell: title for title, cell, _ in RESOURCES}
    counts = [(name, int(used), int(available)) for name, used, available in _USED.findall(log)]
    return [Usage(kinds.get(name, name), used, has) for name, used, has in counts if used > has]


def errors(log: str, most: int = 3) -> Sequence[str]:
    """The tools' own words for what went wrong, at most so many."""
    return [words.strip() for words in _ERROR.findall(log) if words.strip()][:most]
