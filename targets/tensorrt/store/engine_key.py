"""What an engine depends on: the model, the plan, and the machine that compiled it. Travels to the device.

An engine of full TensorRT runs only with the version, on the GPU model and with the driver that it was compiled for
(NVIDIA TensorRT documentation, "Version Compatibility" and "Hardware Compatibility"), so all of them are in its name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping
from typing import Any

from targets.tensorrt.gpu.gpu import Gpu
from targets.tensorrt.plan import BuildPlan


@dataclasses.dataclass(frozen=True)
class Site:
    """The machine as far as engines depend on it; ``gpu`` is :func:`gpu_words`, ``version`` that of the library."""

    gpu: str
    compute_capability: str
    driver: str
    library: str
    version: str

    def digest(self) -> str:
        """Over all of it."""
        return _digest(dataclasses.asdict(self))

    def describe(self) -> str:
        """Such as ``tensorrt 10.3.0 and driver 535.104 on Orin (8.7)``."""
        return f"{self.library} {self.version} and {self.driver} on {self.gpu} ({self.compute_capability})"

    def differences(self, other: Site) -> tuple[str, str]:
        """What is not the same, said for each of the two."""
        pairs = [
            (f"{self.library} {self.version}", f"{other.library} {other.version}"),
            (self.driver, other.driver),
            (f"{self.gpu} ({self.compute_capability})", f"{other.gpu} ({other.compute_capability})"),
        ]
        unequal = [pair for pair in pairs if pair[0] != pair[1]]
        return " and ".join(one for one, _ in unequal), " and ".join(two for _, two in unequal)


@dataclasses.dataclass(frozen=True)
class EngineKey:
    """One engine: ``model`` is the SHA-256 of the ONNX file, ``plan`` the digest of the build plan."""

    model: str
    plan: str
    batch: int
    site: Site

    def job(self) -> str:
        """What was asked for, without the machine: all engines of one job are alternatives."""
        return _digest({"model": self.model, "plan": self.plan, "batch": self.batch})

    def digest(self) -> str:
        """Of the job and the machine."""
        return _digest(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EngineKey:
        """The inverse of :meth:`as_dict`; raises TypeError or KeyError for anything else."""
        return cls(**{**data, "site": Site(**data["site"])})


def site_of(gpu: Gpu, library: str, version: str) -> Site:
    """This machine."""
    return Site(gpu_words(gpu), gpu.compute_capability, driver_words(gpu), library, version)


def gpu_words(gpu: Gpu) -> str:
    """Its name and size: an engine is tuned to the number of multiprocessors, and names do not tell Orins apart."""
    return f"{gpu.name}, {gpu.multiprocessors} multiprocessors" if gpu.multiprocessors else gpu.name


def driver_words(gpu: Gpu) -> str:
    """The driver's version; on a Jetson that does not tell, its CUDA version and the kernel that it belongs to."""
    return f"driver {gpu.driver}" if gpu.driver else f"driver of CUDA {gpu.cuda}, kernel {platform.release()}"


def key_of(onnx: bytes, plan: BuildPlan, batch: int, site: Site) -> EngineKey:
    """The key of one engine."""
    return EngineKey(hashlib.sha256(onnx).hexdigest(), plan.digest(), batch, site)


def _digest(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode("ascii")).hexdigest()
