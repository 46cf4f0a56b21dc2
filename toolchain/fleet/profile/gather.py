"""Measures a bundle on many devices through Ansible, and makes one result of what came back."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, UnreachableError
from profiles.measurement import Metric
from profiles.profiler import Profile
from toolchain.fleet.ansible.playbook import PLAYBOOKS, fleet_inventory, play
from toolchain.fleet.profile.spread import RULE, Spread, by_model, outliers, spread

#: What is compared; the first decides who is marked.
METRICS = ("latency_p50", "latency_p99", "peak_memory", "energy")


@dataclasses.dataclass(frozen=True)
class Measured:
    """One device: its model in words, and its figures without their samples."""

    device: str
    model: str
    metrics: Mapping[str, Metric]
    stable: bool | None


@dataclasses.dataclass(frozen=True)
class Gathered:
    """All devices; ``failed`` maps those without a profile to the reason."""

    bundle: str
    devices: tuple[Measured, ...]
    failed: Mapping[str, str]
    spreads: Mapping[str, Spread]
    marked: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The result as data: SI base units, samples left out."""
        return {
            "schema": 1,
            "bundle": self.bundle,
            "rule": RULE,
            "models": {model: _spread_dict(found) for model, found in self.spreads.items()},
            "devices": [self._row(each) for each in self.devices],
            "failed": dict(self.failed),
        }

    def _row(self, each: Measured) -> dict[str, Any]:
        found = self.spreads.get(each.model)
        score = found.scores.get(each.device) if found else None
        return {
            "device": each.device,
            "model": each.model,
            "outlier": each.device in self.marked,
            "score": score if score is None or abs(score) < float("inf") else None,
            "stable": each.stable,
            "metrics": {name: {**metric.as_dict(), "samples": None} for name, metric in each.metrics.items()},
        }


def _spread_dict(found: Spread) -> dict[str, Any]:
    names = ("minimum", "quarter", "median", "three_quarters", "maximum")
    return {
        "devices": found.devices,
        METRICS[0]: dict(zip(names, found.quantiles, strict=True)),
        "deviation": found.deviation,
    }


@dataclasses.dataclass(frozen=True)
class Order:
    """What to measure and where.

    Attributes:
        home: of the fleet, for its inventory; not needed with one of one's own.
        bundle: a folder; None is the release that each device runs.
        labels: devices with all of these.
        inventory: instead of the fleet's.
        python: interpreter on the devices, absolute; empty is the inventory's ``edgewright_agent_python``, or python3.
        seconds: measure at least this long.
        forks: devices at a time.
        env: more environment for Ansible.
    """

    home: Path
    bundle: Path | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    inventory: Path | None = None
    python: str = ""
    seconds: float = 1.0
    forks: int = 10
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)


def measure(order: Order) -> Gathered:
    """Run the profiler on the devices and gather what came back.

    Raises:
        ConfigError: the bundle, the labels or the inventory cannot be used.
        UnreachableError: no device gave a profile.
        MissingToolError: Ansible is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-profile-") as name:
        room, out = Path(name), Path(name) / "out"
        out.mkdir(mode=0o700)
        inventory = order.inventory or fleet_inventory(room, order.home.absolute())
        variables = {"edgewright_profile_out": str(out), "edgewright_profile_seconds": order.seconds}
        variables |= _bundle(order, room)
        if order.python:
            variables |= dict.fromkeys(("edgewright_profile_python", "ansible_python_interpreter"), order.python)
        done = play(
            PLAYBOOKS / "profile.yml",
            inventory,
            variables,
            limit=pattern(order.labels),
            forks=order.forks,
            env=order.env,
        )
        failed = dict(done.failures)
        found = [_read(out / f"{host}.json", host, failed) for host in done.hosts if (out / f"{host}.json").is_file()]
    for host in set(done.hosts) - {each.device for each in found if each}:
        failed.setdefault(host, "it gave no profile")
    return gathered(str(order.bundle or "what each device runs"), [each for each in found if each], failed)


def _bundle(order: Order, room: Path) -> dict[str, str]:
    """Variables for a bundle that travels to the devices, with its runtime, in one file."""
    if order.bundle is None:
        return {}
    from targets.artifact import MANIFEST, load_artifact
    from targets.runtime import runtime_zipapp

    artifact = load_artifact(order.bundle)
    with zipfile.ZipFile(room / "travel.zip", "w") as archive:
        archive.write(runtime_zipapp(artifact.target, room / "runtime.pyz"), "runtime.pyz")
        for name in (MANIFEST, *artifact.files):
            archive.write(order.bundle / name, f"bundle/{name}")
    return {"edgewright_profile_archive": str(room / "travel.zip")}


def pattern(labels: Mapping[str, str]) -> str:
    """Ansible's pattern for devices with all of these labels: the inventory plugin makes a group for each."""
    return ":&".join(re.sub(r"[^A-Za-z0-9_]", "_", f"{key}_{value}")[:100] for key, value in labels.items())


def parse_labels(texts: Sequence[str]) -> dict[str, str]:
    """``LABEL=VALUE`` as data.

    Raises:
        ConfigError: a text is none.
    """
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ConfigError("wanted a label and its value", seen=repr(text), allowed="LABEL=VALUE, such as site=lab")
        found[key] = value
    return found


def _read(path: Path, host: str, failed: dict[str, str]) -> Measured | None:
    """A profile that a device wrote: data to judge, so anything odd in it is that device's failure."""
    try:
        profile = Profile.from_dict(json.loads(path.read_text(encoding="utf-8")))
        machine = profile.machine.get("before", {})
        model = machine.get("device_model") or machine.get("cpu_model") or machine.get("arch") or "unknown"
        metrics = {name: profile.metrics[name] for name in METRICS if name in profile.metrics}
        if not metrics[METRICS[0]].available:
            raise ValueError(f"no {METRICS[0]}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        failed[host] = f"its profile cannot be read: {error}"
        return None
    return Measured(host, str(model)[:80], metrics, profile.stable)


def gathered(bundle: str, devices: Sequence[Measured], failed: Mapping[str, str]) -> Gathered:
    """Group by model and mark outliers.

    Raises:
        UnreachableError: there is no profile at all.
    """
    if not devices:
        first = next(iter(failed.items()), ("", "the inventory gave no device"))
        raise UnreachableError(
            "no device gave a profile", seen=f"{first[0]}: {first[1]}".strip(": ")[:500],
            next_step="check that ssh lets you in, and that the devices have Python, numpy and the engine",
        )  # fmt: skip
    values = {each.device: float(each.metrics[METRICS[0]].value or 0.0) for each in devices}
    spreads, marked = {}, []
    for model, names in by_model({each.device: each.model for each in devices}, list(values)).items():
        mine = {name: values[name] for name in names}
        spreads[model] = spread(mine)
        marked += outliers(spreads[model], mine)
    return Gathered(bundle, tuple(sorted(devices, key=lambda d: d.device)), failed, spreads, tuple(marked))
