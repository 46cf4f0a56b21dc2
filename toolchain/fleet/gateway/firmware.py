"""The firmware's own serial protocol, once the board runs it: golden samples and time, as for any board behind a cable.

Golden samples and the profiler run in a worker of :mod:`targets.measure`: this process never loads numpy.
"""

from __future__ import annotations

from pathlib import Path

from profiles.measurement import Kind
from profiles.sampling import Settings
from targets.artifact import load_artifact
from toolchain.fleet.gateway.place import Place

#: The unpacked bundle in a slot of the agent.
BUNDLE = "bundle"


def golden(slot: Path, place: Place) -> float:
    """The largest error of the golden outputs on the board; the board must run this bundle's firmware.

    Raises:
        VerificationError: outputs differ beyond the tolerance, or other firmware runs.
        UnreachableError: the board does not answer.
        ToolCrashError: the firmware faulted.
    """
    from targets.measure import verify_bundle

    return verify_bundle(load_artifact(slot / BUNDLE), via=place.line)


def figures(slot: Path, place: Place) -> dict[str, float]:
    """What the board measures of itself, by metric, in SI base units; the same errors."""
    from targets.measure import profile_bundle

    profile = profile_bundle(load_artifact(slot / BUNDLE), Settings(seconds=place.measure), via=place.line)
    return {
        name: float(metric.value)
        for name, metric in profile.metrics.items()
        if metric.value is not None and metric.kind is Kind.MEASURED
    }
