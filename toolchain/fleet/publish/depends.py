"""What a bundle needs of a device: read from its manifest, which has the device profile and the tools' versions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from profiles.errors import ConfigError
from targets.artifact import Artifact
from targets.stand_in import APART
from toolchain.fleet.documents.release import Depends

#: The distributions that a target's runner imports on the device; all others are needed to build only. What is not
#: listed brings its code along (TVM's compiled steps), or is the system's own (JetPack's TensorRT).
RUNTIME = {"onnxruntime": ("onnxruntime",), "openvino": ("openvino",), "litert": ("ai-edge-litert",),
           "pytorch": ("torch",)}  # fmt: skip
#: Targets that compile for the processor's features; the others choose kernels where they run.
COMPILED = ("tvm_cpu",)
#: Targets that compile on the device, for its GPU.
BUILDS = ("tensorrt",)


def depends_of(artifact: Artifact, profile: Mapping[str, Any]) -> Depends:
    """What the bundle needs.

    Args:
        artifact: the bundle.
        profile: its ``profile.json`` as data; empty when it was not measured.

    Raises:
        ConfigError: the manifest has no device that a fleet could have.
    """
    device = artifact.device
    name = str(device.get("name", ""))
    try:
        if device.get("reach", "local") in APART:
            return Depends(name, board=name)
        return Depends(
            name,
            machine=str(device.get("cpu", {}).get("arch", "")),
            isa=tuple(device.get("cpu", {}).get("features", ())) if artifact.target in COMPILED else (),
            sm=_compute_capability(artifact),
            packages=_packages(artifact),
            memory=_memory(profile),
        )
    except ValueError as error:
        raise ConfigError(
            f"cannot publish {artifact.folder}",
            seen=str(error),
            next_step="give its device another name, and build again",
        ) from error


def _compute_capability(artifact: Artifact) -> tuple[str, ...]:
    found = artifact.device.get("parameters", {}).get("compute_capability")
    return (str(found),) if artifact.target in BUILDS and found else ()


def _packages(artifact: Artifact) -> dict[str, str]:
    """The runtime packages, of the same minor version as when the golden outputs were computed."""
    found = {}
    for name in RUNTIME.get(artifact.target, ()):
        if match := re.match(r"(\d+)\.(\d+)", artifact.tools.get(name, "")):
            major, minor = int(match[1]), int(match[2])
            found[name] = f">={major}.{minor},<{major}.{minor + 1}"
    return found


def _memory(profile: Mapping[str, Any]) -> int:
    """The measured peak in bytes; 0 where it was not."""
    metric = profile.get("metrics", {}).get("peak_memory", {})
    value = metric.get("value")
    measured = metric.get("kind") in ("measured", "stand_in") and isinstance(value, (int, float))
    return math.ceil(value) if measured and value > 0 else 0
