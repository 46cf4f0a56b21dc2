"""The limits that a bundle is held to on devices: from the options, or from the project that it was built for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from profiles.measurement import METRIC_UNITS
from profiles.suggest import did_you_mean
from profiles.units import parse_quantity
from toolchain.budget import ANSWERS
from toolchain.fleet.documents.release import Limit
from toolchain.summary import FILE

#: What a device can measure without labelled data.
ON_DEVICE = frozenset({"latency_p50", "latency_p90", "latency_p99", "cpu_time_p50", "peak_memory", "model_size",
                       "energy", "ram", "arena", "flash"})  # fmt: skip


def parse_limit(text: str) -> tuple[str, float]:
    """``latency=20 ms`` as metric and value in SI base units; names are those of ``[budget]``, or of metrics.

    Raises:
        ConfigError: it is no such thing.
    """
    name, equals, amount = text.partition("=")
    metric = ANSWERS.get(name.strip(), (name.strip(),))[0]
    known = [*(key for key, metrics in ANSWERS.items() if metrics[0] in ON_DEVICE), *sorted(ON_DEVICE)]
    if not equals or metric not in ON_DEVICE:
        raise ConfigError(
            "wanted a limit that devices can measure",
            seen=text,
            allowed="NAME=QUANTITY, NAME one of " + ", ".join(known),
            next_step=did_you_mean(name, known) or 'write for example --budget "latency=20 ms"',
        )
    return metric, parse_quantity(amount.strip(), METRIC_UNITS[metric], where=f"--budget {name}")


def budget_of(bundle: Path, options: Mapping[str, float]) -> tuple[Limit, ...]:
    """The limits of a bundle: those of ``summary.json`` beside its folder, and the options before them.

    Raises:
        ConfigError: ``summary.json`` is damaged.
    """
    limits = {**_project_limits(bundle), **options}
    return tuple(Limit(metric, most) for metric, most in sorted(limits.items()))


def _project_limits(bundle: Path) -> dict[str, float]:
    folder = bundle.resolve()
    path = folder.parent / FILE
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["entries"]
        rows = [row for entry in entries if entry["bundle"] == folder.name for row in entry["budget"]]
        return {row["metric"]: float(row["limit"]) for row in rows if row["metric"] in ON_DEVICE}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"wanted the budget of {bundle.name} from {path}",
            seen=f"{type(error).__name__}: {error}",
            next_step="build again, or move the file away and give --budget",
        ) from error


def profile_of(bundle: Path) -> dict[str, Any]:
    """``profile.json`` of a bundle as data; empty when there is none, or none that can be read."""
    try:
        found = json.loads((bundle / "profile.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("metrics"), dict) else {}
