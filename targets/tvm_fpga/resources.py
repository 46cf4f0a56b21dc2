"""What is known of the circuit: resources and the largest clock, from an earlier synthesis of exactly this array."""

from __future__ import annotations

import dataclasses

from profiles.device import Device
from profiles.measurement import METRIC_UNITS, Kind, Metric, unavailable
from targets.base import Hardware
from targets.tvm_fpga.device import clock_of, goal_of
from targets.tvm_fpga.synth.command import Outcome, kept
from targets.tvm_fpga.synth.part import part_of
from targets.tvm_fpga.synth.result import Synthesis

#: Metric to the field of ``Synthesis``.
FIELDS = {
    "luts": "luts", "flip_flops": "flip_flops", "multipliers": "multipliers", "block_rams": "block_rams",
}  # fmt: skip
NAMES = (*FIELDS, "device_share", "fmax")


@dataclasses.dataclass(frozen=True)
class Clock:
    """The clock that cycles are turned into time with. ``words`` begin with the frequency and say where it is from."""

    hertz: float
    words: str


def clock(device: Device) -> Clock | None:
    """What place and route reached; else the profile's clock, else the one that it aims at, each called what it is."""
    if made := kept(device):
        return Clock(made.fmax, f"{_mhz(made.fmax)}, which place and route reached for {_part(device)}")
    if nominal := clock_of(device):
        return Clock(nominal, f"{_mhz(nominal)}, the profile's nominal clock")
    if goal := goal_of(device):
        return Clock(goal, f"{_mhz(goal)}, a goal of the profile that nothing has reached yet ({why_not(device)})")
    return None


def metrics(device: Device) -> dict[str, Metric]:
    """Resources and clock of a device's circuit; nothing for one that exists in simulation only."""
    if "part" not in device.parameters:
        return {}
    if made := kept(device):
        return of_synthesis(made, _part(device))
    return {name: unavailable(name, why_not(device)) for name in NAMES}


def of_synthesis(made: Synthesis, part: str) -> dict[str, Metric]:
    """The same of one result; ``part`` with its speed grade."""
    tools = ", ".join(f"{name} {version}" for name, version in made.tools.items())
    found = {name: _used(name, made, tools) for name, field in FIELDS.items()}
    most = max(made.usages, key=lambda usage: usage.share)
    found["device_share"] = _estimated("device_share", most.share, f"the scarcest resource: {most.text()}; {tools}")
    goal = f"{_mhz(made.clock)} were aimed at; slowest path: {made.critical_path}"
    return {**found, "fmax": _estimated("fmax", made.fmax, f"timing model of {part} in {tools}; {goal}")}


def hardware_of(outcome: Outcome, device: Device) -> Hardware:
    """The same as the toolchain takes it."""
    made, part = outcome.synthesis, _part(device)
    if made is None:
        return Hardware(outcome.folder, outcome.status, outcome.cached, facts={"part": part})
    facts = {"part": part, "slowest path": made.critical_path, "took": f"{made.seconds:.0f} s", **made.tools}
    return Hardware(outcome.folder, outcome.status, outcome.cached, of_synthesis(made, part), facts)


def why_not(device: Device) -> str:
    """Why nothing is known, with the command that finds out."""
    if "part" not in device.parameters:
        return "the profile names neither a clock nor a part to synthesize for"
    if part_of(device.parameters).family != "ecp5":
        return "only its vendor's tool can tell: edgewright rtl synth writes the script, nobody has run it"
    return f"not synthesized: run: edgewright rtl synth --device {device.name}"


def _used(name: str, made: Synthesis, tools: str) -> Metric:
    usage = getattr(made, FIELDS[name])
    return _estimated(name, usage.used, f"{usage.text()} of {made.part}; {tools}")


def _estimated(name: str, value: float, method: str) -> Metric:
    return Metric(float(value), METRIC_UNITS[name], Kind.ESTIMATED, method)


def _part(device: Device) -> str:
    part = part_of(device.parameters)
    return f"{part.name}-{part.speed}" if part.family == "ecp5" else part.name


def _mhz(hertz: float) -> str:
    return f"{hertz / 1e6:.4g} MHz"
