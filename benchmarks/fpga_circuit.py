"""The circuit itself: resources and clock of an earlier ``edgewright rtl synth``, if there is one."""

from __future__ import annotations

from typing import Any

from profiles.device import load_device
from targets.tvm_fpga.resources import why_not
from targets.tvm_fpga.synth.command import kept

DEVICE = "fpga-ecp5-85"
#: Goals: Hz, and the share of the scarcest resource.
FMAX, SHARE = 80e6, 0.85
#: Multipliers beside those of the array, for each lane: requantization (2) and a residual's (2), from the Verilog.
PER_LANE = 4


def circuit() -> dict[str, Any]:
    """What place and route found for exactly today's sources; else the reason why nothing is known."""
    device = load_device(DEVICE)
    made = kept(device)
    if made is None:
        return {"device": DEVICE, "missing": why_not(device)}
    usages = {
        usage.name: {"used": usage.used, "available": usage.available, "share": usage.share} for usage in made.usages
    }
    return {
        "device": DEVICE,
        "part": made.part,
        "speed_grade": device.parameters["speed_grade"],
        "fmax": made.fmax,
        "resources": usages,
        "share": max(usage.share for usage in made.usages),
        "critical_path": made.critical_path,
        "tools": dict(made.tools),
        "seconds": made.seconds,
    }


def missed(found: dict[str, Any]) -> list[str]:
    """Goals of a circuit that is known."""
    if "missing" in found:
        return [f"{DEVICE}: {found['missing']}"]
    slow = [f"{DEVICE}: {found['fmax'] / 1e6:.1f} MHz, goal {FMAX / 1e6:g}"] if found["fmax"] < FMAX else []
    full = [f"{DEVICE}: {found['share']:.0%} of the scarcest resource"] if found["share"] > SHARE else []
    return slow + full


def multipliers(lanes: int, found: dict[str, Any]) -> tuple[int, str]:
    """How many DSP blocks an array takes: of the placed one if it is that size, else counted from the Verilog."""
    if lanes == 8 and "resources" in found:
        return int(found["resources"]["multipliers"]["used"]), "placed"
    return lanes * lanes + PER_LANE * lanes, "counted"
