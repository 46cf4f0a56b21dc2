"""What this device provides, and whether that is what a bundle depends on. Reasons are for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from profiles.detect import detect_hardware
from profiles.errors import EdgewrightError
from profiles.machine_files import normal_arch, ram
from targets.execute import run_program
from toolchain.fleet.documents.release import Depends, Packed, Release

#: Keys that a configuration may set; everything else is found out.
KEYS = ("device", "machine", "isa", "sm", "packages", "memory", "board")
_ASK = """import importlib.metadata as m, json, sys
print(json.dumps({each.metadata["Name"]: each.version for each in m.distributions() if each.metadata["Name"]}))"""


def provides(overrides: Mapping[str, str], root: Path = Path("/")) -> dict[str, str]:
    """What the machine says of itself, with the configuration's word before it. Lists are separated by spaces."""
    cpu = detect_hardware(root)["cpu"]
    isa = [*(cpu.get("features") or []), cpu.get("isa") or ""]
    found = {
        "device": "local-cpu",
        "machine": normal_arch(os.uname().machine),
        "isa": " ".join(filter(None, isa)),
        "memory": str(int(ram(root) or 0)),
        **({} if "sm" in overrides else {"sm": _capabilities(root)}),
        **overrides,
    }
    return {key: value[:1000] for key, value in found.items() if value}


def _capabilities(root: Path) -> str:
    """Compute capabilities of NVIDIA's GPUs; empty without a driver or its library."""
    from profiles.gpu_nvml import has_driver, read_cards

    if not has_driver(root):
        return ""
    try:
        return " ".join(dict.fromkeys(card.compute_capability or "" for card in read_cards()))
    except EdgewrightError:
        return ""


def packages(python: str) -> dict[str, str]:
    """Name to version, of what is installed where bundles run."""
    try:
        # -I, as the checks of a bundle: what only this user's own folder has is not there for them
        told = run_program([python, "-I", "-c", _ASK], timeout=60.0).stdout
        return {_normal(name): version for name, version in json.loads(told).items()}
    except (EdgewrightError, ValueError):
        return {}


def choose(
    release: Release, has: Mapping[str, str], installed: Callable[[], Mapping[str, str]]
) -> tuple[Packed | None, list[str]]:
    """The first bundle that fits, or None and for every bundle why not."""
    reasons = []
    for bundle in release.bundles:
        lacks = missing(bundle.depends, has, installed)
        if not lacks:
            return bundle, []
        reasons.append(f"{bundle.target} {bundle.precision} for {bundle.depends.device}: {', '.join(lacks)}")
    return None, reasons


def missing(depends: Depends, has: Mapping[str, str], installed: Callable[[], Mapping[str, str]]) -> list[str]:
    """What a device lacks; nothing when the bundle fits. ``installed`` is asked only when packages are needed."""
    if depends.board:  # it runs on what hangs on this machine, not on it
        other = depends.board != has.get("board")
        return [f"it is for the board {depends.board}, here: {has.get('board') or 'none'}"] if other else []
    found = []
    if depends.device != has.get("device"):
        found.append(f"it is for the device {depends.device}, this is {has.get('device', 'unknown')}")
    if depends.machine and normal_arch(depends.machine) != has.get("machine"):
        found.append(f"it needs {depends.machine}, this is {has.get('machine', 'unknown')}")
    if lacks := sorted(set(depends.isa) - set(has.get("isa", "").split())):
        found.append(f"the processor lacks {', '.join(lacks)}")
    if depends.sm and not set(depends.sm) & set(has.get("sm", "").split()):
        found.append(f"it needs a GPU of compute capability {' or '.join(depends.sm)}, here: {has.get('sm') or 'none'}")
    if depends.memory > int(has.get("memory") or 0):
        found.append(f"it needs {depends.memory} bytes of memory, here: {has.get('memory') or 'unknown'}")
    return found + (_packages(depends.packages, installed()) if depends.packages else [])


def _packages(wanted: Mapping[str, str], installed: Mapping[str, str]) -> list[str]:
    found = []
    for name, specifier in wanted.items():
        version = installed.get(_normal(name))
        if version is None:
            found.append(f"{name} is not installed")
            continue
        try:
            fits = SpecifierSet(specifier).contains(Version(version), prereleases=True)
        except (InvalidSpecifier, InvalidVersion):
            fits = False
        if not fits:
            found.append(f"it needs {name} {specifier}, here: {version}")
    return found


def _normal(name: str) -> str:
    """PEP 503."""
    return name.lower().replace("_", "-").replace(".", "-")


def this_python() -> str:
    """The interpreter that we run under."""
    return sys.executable


def listed(text: str) -> dict[str, str]:
    """``NAME==VERSION`` words, for packages that no Python knows of."""
    pairs = (word.partition("==") for word in text.split())
    return {_normal(name): version for name, _, version in pairs if version}
