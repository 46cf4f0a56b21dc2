"""Where the Q/DQ pairs stand: ours against ONNX Runtime's, as TensorRT-RTX plans its kernels; and what int8 costs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import toolchain
from benchmarks.common import WEIGHTS, Table, cifar_folder, say, write
from benchmarks.gpu_rows import COMPILED_FOR, MODELS
from profiles.device import Device, load_device
from targets.artifact import load_artifact
from targets.base import ExportedModel, Scheme
from targets.onnx_tools import load_onnx
from targets.tensorrt.compiler.builder import build_engine
from targets.tensorrt.compiler.schedule import Schedule, read_schedule
from targets.tensorrt.device import plan_for
from targets.tensorrt.formats.cast import to_fp16, to_half
from targets.tensorrt.formats.quantize import to_int8
from targets.tensorrt.plan import ONNX
from toolchain.project import project_from_dict
from toolchain.steps.evaluate import specs

CLAIM = (
    "Our placement of Q/DQ pairs plans no more kernels and moves fewer bytes than ONNX Runtime's own on TensorRT-RTX, "
    "and int8 loses at most 0.5 points of accuracy with every calibrator."
)
_MODELS = ("resnet8", "mobilenetv2", "resnet50")
_CALIBRATORS = ("minmax", "percentile", "entropy", "mse")
#: One device for each library.
_DEVICES = (COMPILED_FOR, "jetson-agx-orin")
_MOST_DROP = 0.005
_SAMPLES = 2
FP16, OURS, TENSOR, THEIRS = "fp16", "ours", "ours, one scale per tensor", "ONNX Runtime's"


def run(rounds: int) -> list[str]:
    """Compile every placement, count, and judge accuracy by emulation; returns missed goals. ``rounds`` is not used."""
    with tempfile.TemporaryDirectory(prefix="edgewright-placement-") as folder:
        planned = {name: _planned(name, Path(folder) / name) for name in _MODELS}
        accuracy = _accuracy(Path(folder) / "accuracy")
    rows = [_row(name, found) for name, found in planned.items()]
    _write(rows, planned, accuracy)
    return [*_missed_plans(planned), *_missed_accuracy(accuracy)]


def _planned(name: str, folder: Path) -> dict[str, dict[str, int]]:
    """Kernels and bytes of each placement."""
    say(f"{name}: placements")
    model, device = _float_model(name, folder), load_device(COMPILED_FOR)
    return {label: _figures(_schedule(graph, device)) for label, graph in _graphs(model, device, folder)}


def _float_model(name: str, folder: Path) -> ExportedModel:
    entry = {"profile": COMPILED_FOR, "target": "tensorrt", "precision": "fp32", "name": "float"}
    project = project_from_dict({"model": dict(MODELS[name]), "device": [entry]}, where="the benchmark")
    toolchain.build(project, out=folder / "build", profile=False)
    artifact = load_artifact(folder / "build" / "float")
    inputs, outputs = (specs(artifact.model[side]) for side in ("inputs", "outputs"))
    return ExportedModel(name, inputs, outputs, onnx=artifact.folder / ONNX)


def _graphs(model: ExportedModel, device: Device, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Label and ONNX file of every placement; the float part is fp16 in all of them."""
    random = np.random.default_rng(0)
    drawn = [
        {spec.name: random.standard_normal(spec.shape).astype(np.float32) for spec in model.inputs}
        for _ in range(_SAMPLES)
    ]
    for label, make in (
        (FP16, lambda out: to_fp16(model, out)),
        (OURS, lambda out: to_int8(model, drawn, device, Scheme("int8"), out)),
        (TENSOR, lambda out: to_int8(model, drawn, device, Scheme("int8", per_channel=False), out)),
    ):
        out = folder / label
        out.mkdir()
        made = make(out)
        assert made.onnx is not None
        yield label, made.onnx.read_bytes()
    yield THEIRS, _theirs(folder / OURS / "float.onnx", drawn, folder / "theirs.onnx")


def _theirs(prepared: Path, drawn: list[dict[str, Any]], out: Path) -> bytes:
    """ONNX Runtime's quantizer with the settings that TensorRT asks for."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(drawn)

        def get_next(self) -> Any:
            return next(self.left, None)

    settings = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
    quantize_static(
        str(prepared), str(out), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, extra_options=settings,
    )  # fmt: skip
    half, _ = to_half(load_onnx(out))
    return bytes(half.SerializeToString(deterministic=True))


def _schedule(graph: bytes, device: Device) -> Schedule:
    return read_schedule(build_engine(graph, plan_for(device, "int8"), 1).engine)


def _figures(schedule: Schedule) -> dict[str, int]:
    return {"kernels": len(schedule.kernels), "moved": schedule.bytes_moved}


def _accuracy(out: Path) -> dict[str, dict[str, float]]:
    """Accuracy lost by ResNet-8 on the CIFAR-10 test images, by device and calibrator, as a share of 1; emulated."""
    entries = [
        {"profile": device, "target": "tensorrt", "precision": "int8", "calibrator": how, "name": f"{device}-{how}"}
        for device in _DEVICES
        for how in _CALIBRATORS
    ]
    say("resnet8: accuracy with four calibrators on two devices, emulated")
    project = project_from_dict(
        {
            "model": {"source": "zoo:resnet8", "weights": str(WEIGHTS)},
            "data": {"source": f"parquet:{cifar_folder()}", "calibration": 64},
            "device": entries,
        },
        where="the benchmark",
    )
    result = toolchain.build(project, out=out, profile=False)
    drops = {entry.name: entry.metrics["accuracy_drop"].value for entry in result.entries}
    return {device: {how: float(drops[f"{device}-{how}"] or 0.0) for how in _CALIBRATORS} for device in _DEVICES}


def _row(name: str, found: dict[str, dict[str, int]]) -> list[str]:
    labels = (FP16, OURS, TENSOR, THEIRS)
    return [name, *(f"{found[label]['kernels']} / {found[label]['moved'] / 1e6:.2f} MB" for label in labels)]


def _missed_plans(planned: dict[str, dict[str, dict[str, int]]]) -> list[str]:
    worse = [
        (name, figure)
        for name, found in planned.items()
        for figure in ("kernels", "moved")
        if found[OURS][figure] > found[THEIRS][figure]
    ]
    return [f"{name}: more {figure} than with ONNX Runtime's placement" for name, figure in worse]


def _missed_accuracy(accuracy: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"{device} with {how}: {100 * drop:.2f} points lost"
        for device, found in accuracy.items()
        for how, drop in found.items()
        if drop > _MOST_DROP
    ]


def _write(rows: list[list[str]], planned: Any, accuracy: dict[str, dict[str, float]]) -> None:
    lost = [
        f"Points of accuracy lost on `{device}` (negative: gained): "
        + ", ".join(f"{how} {100 * drop:+.2f}" for how, drop in found.items())
        + "."
        for device, found in accuracy.items()
    ]
    notes = [
        f"Planned by TensorRT-RTX for `{COMPILED_FOR}`: launches per inference, and inputs and outputs of all kernels "
        "once (estimated; nothing ran on a GPU). The float part is fp16 everywhere.",
        "ONNX Runtime's quantizer: symmetric int8, weights per channel, no quantized bias, the same prepared graph.",
        *lost,
        "Accuracy is simulated by ONNX Runtime on the Q/DQ graph: ResNet-8, CIFAR-10 test images, "
        "64 calibration samples.",
    ]
    columns = ["model", *(f"{label}: kernels / moved" for label in (FP16, OURS, TENSOR, THEIRS))]
    table = Table(columns, rows, notes)
    write("placement", "Placement of Q/DQ pairs", CLAIM, table, {"planned": planned, "accuracy_drop": accuracy})
