"""Whether a machine is the device that a bundle was built for; figures of any other are stand-ins. Travels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.device import Identity
from profiles.machine import MachineState, matches
from profiles.profiler import Profile

#: How devices are reached whose figures do not depend on the machine beside them.
APART = ("qemu", "rtl", "serial")


def marked(device: Mapping[str, Any], profile: Profile) -> Profile:
    """The profile as it is on the device itself; elsewhere every figure becomes a stand-in that names the machine."""
    if device.get("reach") in APART or is_device(device, profile):
        return profile
    return profile.on_stand_in(profile.machine["description"])


def is_device(device: Mapping[str, Any], profile: Profile) -> bool:
    """Whether the machine that was measured is the device."""
    return state_is_device(device, MachineState.from_dict(profile.machine["before"]))


def state_is_device(device: Mapping[str, Any], state: MachineState) -> bool:
    """Whether a machine shows the device's identity; a device without one is nowhere but in its own tools."""
    identity = device.get("identity", {})
    return matches(Identity(identity.get("arch", ""), tuple(identity.get("model_contains", ()))), state)
