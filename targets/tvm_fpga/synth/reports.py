"""Reads what yosys (``stat -json``) and nextpnr (``--report``) say about a design."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from profiles.errors import ToolCrashError
from targets.tvm_fpga.synth.result import RESOURCES, Usage

_CLOCK = "posedge"
_NOISE = re.compile(
    r"(_(TRELLIS_FF|LUT4|PFUMX|L6MUX21|CCU2C|DP16KD|MULT18X18D|TRELLIS_DPR16X4)_|\$(CCU2|nextpnr)|\.words\.)"
)


def cells(text: str) -> dict[str, int]:
    """Cell types and their number, before packing.

    Raises:
        ToolCrashError: it is no such report.
    """
    try:
        counted = json.loads(text)["design"]["num_cells_by_type"]
        return {str(name): int(number) for name, number in counted.items() if not name.startswith("$")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolCrashError("wanted yosys' report of cells", seen=repr(error)) from error


def timing(text: str) -> tuple[float, str, dict[str, Usage]]:
    """Fmax in Hz of the slowest clock, its slowest path in words, and the resources by field of ``Synthesis``.

    Raises:
        ToolCrashError: it is no such report, or knows no clock.
    """
    try:
        report = json.loads(text)
        achieved = min(float(clock["achieved"]) for clock in report["fmax"].values())
        counted = report["utilization"]
        usages = {
            field: Usage(title, counted[cell]["used"], counted[cell]["available"]) for title, cell, field in RESOURCES
        }
        paths = [
            path for path in report["critical_paths"] if path["from"].startswith(_CLOCK) and path["from"] == path["to"]
        ]
        return achieved * 1e6, _words(paths[0]["path"]) if paths else "unknown", usages
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolCrashError("wanted nextpnr's report of timing and resources", seen=repr(error)) from error


def _words(path: Sequence[Mapping[str, Any]]) -> str:
    """From where to where, how long, how much of it on wires, and through how many cells."""
    total = sum(step["delay"] for step in path)
    wires = sum(step["delay"] for step in path if step["type"] == "routing")
    logic = sum(step["type"] == "logic" and step["delay"] > 0 for step in path)
    start, end = _name(path[0]["from"]["cell"]), _name(path[-1]["to"]["cell"])
    return f"{start} to {end}: {total:.1f} ns, {wires:.1f} ns of it on wires, {logic} cells between"


def _name(cell: str) -> str:
    """A cell's name as the source has it: what synthesis appended is cut off."""
    return _NOISE.split(cell)[0]
