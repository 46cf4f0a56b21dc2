"""What a person does to a rollout: start, pause, resume, abort. Pure; every act gives the next plan."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

from profiles.errors import ConfigError
from toolchain.fleet.documents.plan import Plan, Wave
from toolchain.fleet.rollout.membership import draw

#: From which states an act may come, and to which it leads.
_ACTS = {
    "pause": (("running", "complete"), "paused"),
    "resume": (("paused",), "running"),
    "abort": (("running", "paused", "complete"), "aborted"),
}


def act(plan: Plan, what: str) -> Plan:
    """The plan after ``pause``, ``resume`` or ``abort``.

    Raises:
        ConfigError: the rollout is in a state that does not allow it.
    """
    origins, state = _ACTS[what]
    if plan.state not in origins:
        raise ConfigError(
            f"wanted to {what} the rollout of version {plan.release} of {plan.product} on {plan.channel}",
            seen=f"it is {plan.state}",
            allowed=f"a rollout that is {' or '.join(origins)}",
            next_step="start a new one: edgewright fleet rollout start" if plan.state == "aborted" else "",
        )
    return dataclasses.replace(plan, state=state, sequence=plan.sequence + 1)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A wave as a person asks for it: exactly one of the three.

    Attributes:
        count: so many devices, drawn from those that are in no wave before.
    """

    name: str
    percent: float = 0.0
    count: int = 0
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


def parse_wave(text: str) -> Drawn:
    """``canary=5%``, ``canary=3`` or ``lab=site:berlin,room:3``.

    Raises:
        ConfigError: it is none of these.
    """
    name, _, what = text.partition("=")
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)%", what):
        return Drawn(name, percent=float(found[1]))
    if re.fullmatch(r"[1-9]\d{0,6}", what):
        return Drawn(name, count=int(what))
    pairs = [each.partition(":") for each in what.split(",")]
    if name and what and all(key and value for key, _, value in pairs):
        return Drawn(name, labels={key: value for key, _, value in pairs})
    raise ConfigError("wanted a wave", seen=text[:80], allowed="NAME=5%, NAME=3 (devices), or NAME=LABEL:VALUE,…")


def waves_of(wanted: Sequence[Drawn], devices: Iterable[tuple[str, Mapping[str, str]]], salt: str) -> tuple[Wave, ...]:
    """The waves of a plan; a count becomes a list of the devices with the smallest draws.

    Args:
        wanted: in order.
        devices: names and labels of those that are enrolled now.
        salt: of the plan.

    Raises:
        ConfigError: two waves have one name, a percentage is too large, or a count finds too few devices.
    """
    left = sorted((draw(salt, name), name, labels) for name, labels in devices)
    waves: list[Wave] = []
    for each in wanted:
        chosen = tuple(name for _, name, _ in left[: each.count])
        if len(chosen) < each.count:
            raise ConfigError(
                f"wave '{each.name}' wants {each.count} devices",
                seen=f"{len(chosen)} are left",
                next_step="ask for fewer",
            )
        try:
            waves.append(Wave(each.name, percent=each.percent, devices=chosen, labels=dict(each.labels)))
        except ValueError as error:
            raise ConfigError("a wave makes no sense", seen=str(error)) from error
        left = [entry for entry in left if not _in(waves[-1], *entry)]
    return tuple(waves)


def _in(wave: Wave, drawn: float, name: str, labels: Mapping[str, str]) -> bool:
    if wave.labels:
        return all(labels.get(key) == value for key, value in wave.labels.items())
    return drawn < wave.percent or name in wave.devices
