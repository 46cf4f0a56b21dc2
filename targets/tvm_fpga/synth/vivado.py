"""A script for Vivado, for devices that only its vendor's tool knows. It is written here, and run by nobody here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import UnsupportedError
from targets.files import write_bytes
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.sources import TOP, rtl_files, template
from targets.tvm_fpga.synth.part import part_of

SCRIPT, CONSTRAINTS, SOURCE = "vivado.tcl", "top.xdc", "accelerator.v"
#: What has to stand beside every figure that such a script might give.
STATUS = "built, not run"


def vivado_files(geometry: Geometry, parameters: Mapping[str, Any]) -> dict[str, bytes]:
    """Sources, script and constraints: synthesis, placement and routing out of context, reports, a checkpoint.

    Out of context means that the memory port stays open, for a block design that connects it to the processors. A bit
    stream needs such a design, which is not part of this.

    Raises:
        ConfigError: the profile names no part.
        UnsupportedError: the part is not one of Vivado's.
    """
    part = part_of(parameters)
    if part.family != "zynq":
        raise UnsupportedError("wanted a script for Vivado", seen=part.name, allowed="a Zynq-7000")
    whole = b"\n".join(rtl_files(geometry).values())  # one file, so that all see the definitions at its beginning
    values = {"top": TOP, "part": part.name, "source": SOURCE, "period": f"{1e9 / part.clock:.3f}"}
    script = str(template("vivado.tcl.j2").render(**values, constraints=CONSTRAINTS))
    constraints = str(template("vivado.xdc.j2").render(**values))
    return {SOURCE: whole, SCRIPT: script.encode(), CONSTRAINTS: constraints.encode()}


def write_vivado(geometry: Geometry, parameters: Mapping[str, Any], folder: Path) -> Path:
    """Write the files of :func:`vivado_files` into a folder, which is made, and return the script's path.

    Raises:
        ConfigError, UnsupportedError: see :func:`vivado_files`.
        OutputError: the folder cannot be written.
    """
    for name, content in vivado_files(geometry, parameters).items():
        write_bytes(folder / name, content)
    return folder / SCRIPT
