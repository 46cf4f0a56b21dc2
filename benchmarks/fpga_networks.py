"""The networks of the FPGA benchmark: quantized files, and their programs for an array."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import WEIGHTS
from profiles.device import load_device
from profiles.runner import Array, Arrays
from targets.base import ExportedModel, Scheme
from targets.registry import load_target
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.partition.compiled import partition_and_compile
from targets.tvm_fpga.partition.load import load_module
from targets.tvm_fpga.partition.partition import Partitioned

DEVICE = "fpga-sim-16x16"
RESNET8 = "ResNet-8"


@dataclasses.dataclass(frozen=True)
class Network:
    """One network of MLPerf Tiny.

    Attributes:
        source: in the zoo.
        weights: trained ones; None for random ones, which take as many cycles.
        goal: cycles of the 16 x 16 array, at most.
    """

    source: str
    weights: Path | None
    goal: float


NETWORKS = {
    RESNET8: Network("zoo:resnet8", WEIGHTS, 55_500),
    "VWW": Network("zoo:mobilenet_v1_025", None, 60_000),
    "DS-CNN": Network("zoo:dscnn", None, 22_000),
}


def exported(network: Network, folder: Path) -> ExportedModel:
    """The float network as ONNX."""
    from toolchain.export.onnx import export_onnx
    from toolchain.frontend.source import default_input, load_module
    from toolchain.frontend.specs import ModelSpec

    spec = default_input(network.source)
    assert spec is not None
    module = load_module(ModelSpec(network.source, weights=network.weights, input=spec, seed=0))
    sample = np.random.default_rng(0).random(spec.shape, dtype=np.float32)
    made = export_onnx(module, {spec.name: sample}, folder / "float.onnx")
    return ExportedModel(network.source.removeprefix("zoo:"), made.inputs, made.outputs, onnx=made.path)


def quantized(model: ExportedModel, samples: Sequence[Arrays], folder: Path, calibrator: str = "minmax") -> Path:
    """The Q/DQ file that the target makes of a float one."""
    folder.mkdir(parents=True)
    target, device = load_target("tvm_fpga"), load_device(DEVICE)
    made = target.quantize(model, samples, device, Scheme("int8", calibrator=calibrator), folder)
    assert made.onnx is not None
    return made.onnx


def noise(model: ExportedModel, count: int = 4) -> list[dict[str, Array]]:
    """Samples for a network that is not trained: its ranges do not matter, only that there are some."""
    draw = np.random.default_rng(0)
    return [{spec.name: draw.random(spec.shape, dtype=np.float32) for spec in model.inputs} for _ in range(count)]


@dataclasses.dataclass(frozen=True)
class Built:
    """A network for one array."""

    parted: Partitioned
    programs: dict[str, Program]

    @property
    def macs(self) -> int:
        """Of all regions; padding counts."""
        return int(self.parted.split.macs[0])

    @property
    def on_host(self) -> list[str]:
        """Operators that the array does not run."""
        return [each.name for each in self.parted.split.operators if not each.accelerated]

    def random_inputs(self, symbol: str) -> dict[str, Any]:
        """An int8 value for every input of a region."""
        draw = np.random.default_rng(0)
        region = next(each.region for each in self.parted.regions if each.symbol == symbol)
        return {each.name: draw.integers(-128, 128, each.shape).astype(np.int8) for each in region.sources}


def built(path: Path, geometry: Geometry) -> Built:
    """Partition and compile a quantized file."""
    return Built(*partition_and_compile(load_module(path), geometry))
