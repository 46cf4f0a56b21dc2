"""The files of a circuit for a device's part: sources, constraints, and a script that makes something of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.sources import rtl_files, template
from targets.tvm_fpga.synth.part import part_of
from targets.tvm_fpga.synth.plan import Plan, plan_ecp5
from targets.tvm_fpga.synth.vivado import vivado_files


def circuit_files(geometry: Geometry, parameters: Mapping[str, Any]) -> dict[str, bytes]:
    """By name, for one folder: for an ECP5 what ``edgewright rtl synth`` works on, for a Zynq a script for Vivado.

    Args:
        geometry: of the array.
        parameters: of the device profile; without a ``part`` there are the sources alone.

    Raises:
        ConfigError: a part that nothing here can build for.
    """
    if "part" not in parameters:
        return rtl_files(geometry)
    part = part_of(parameters)
    if part.family == "zynq":
        return {**rtl_files(geometry), **vivado_files(geometry, parameters)}
    plan = plan_ecp5(geometry, part, seed=int(parameters.get("seed", 1)))
    return {**plan.files, "synth.sh": _script(plan)}


def _script(plan: Plan) -> bytes:
    """The same tools, called by their usual names, and the packing of a bit stream."""
    calls = [shlex.join([step.package.replace("_", "-"), *step.arguments]) for step in plan.steps]
    return str(template("synth_ecp5.sh.j2").render(calls=calls, part=plan.part.name)).encode()
