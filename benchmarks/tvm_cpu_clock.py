"""``python -m benchmarks.tvm_cpu_clock ROUNDS``: compiles a network for every engine and times them in turn.

All in one process. Standard input is a JSON object with ``onnx`` and ``tflite`` (files), ``shape`` (of the input, NCHW)
and ``classes``. The last line of standard output has, by row: the median seconds of every round, the largest difference
from ONNX Runtime's outputs as a share of the largest of these, and what tuning did.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from profiles.device import Device, load_device
from profiles.runner import Array
from targets.adapt import inputs_to_native
from targets.base import Compiled, ExportedModel, TensorSpec
from targets.registry import load_target

#: Seconds of tuning.
TUNED = 20.0
#: Row to the target, the file it reads, and the seconds that TVM may tune.
ROWS: Mapping[str, tuple[str, str, float]] = {
    "onnxruntime": ("onnxruntime", "onnx", 0.0),
    "openvino": ("openvino", "onnx", 0.0),
    "litert": ("litert", "tflite", 0.0),
    "tvm": ("tvm_cpu", "onnx", 0.0),
    "tvm, tuned": ("tvm_cpu", "onnx", TUNED),
}
REFERENCE = "onnxruntime"
#: In one round a row is timed for so long, so many times at least; then the next has its turn.
_SECONDS, _LEAST, _WARM_UP = 0.3, 5, 3


@dataclasses.dataclass
class Row:
    """One engine, ready to run."""

    call: Callable[[], object]
    outputs: list[Array]
    tuning: dict[str, Any]
    times: list[float] = dataclasses.field(default_factory=list)


def main() -> int:
    rounds, given = int(sys.argv[1]), json.load(sys.stdin)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rows = {name: opened(name, given, folder / str(number), stack) for number, name in enumerate(ROWS)}
        for number in range(rounds):
            for name in list(rows) if number % 2 == 0 else reversed(rows):
                rows[name].times.append(timed(rows[name].call))
    reference = rows[REFERENCE].outputs
    print(json.dumps({name: _found(row, reference) for name, row in rows.items()}))
    return 0


def opened(name: str, given: Mapping[str, Any], out: Path, stack: contextlib.ExitStack) -> Row:
    """The network in one engine, on a random image that is the same for all."""
    engine, form, seconds = ROWS[name]
    target, device, model = load_target(engine), _device(seconds), _model(given, form)
    out.mkdir()
    compiled = target.compile(model, device, out)
    runner = stack.enter_context(target.runner(out, compiled, device.as_dict()))
    image = np.random.default_rng(0).standard_normal(given["shape"], dtype=np.float32)
    native = inputs_to_native({model.inputs[0].name: image}, model.inputs, compiled.inputs)
    made = runner.run(native)
    outputs = [made[spec.name] for spec in compiled.outputs]
    return Row(runner.bind(native), outputs, _tuning(out, compiled))


def _device(seconds: float) -> Device:
    device = load_device("local-cpu")
    return dataclasses.replace(device, parameters={**device.parameters, "tuning_seconds": seconds})


def _model(given: Mapping[str, Any], form: str) -> ExportedModel:
    last = form == "tflite"
    return ExportedModel(
        name="network",
        inputs=(TensorSpec("input", tuple(given["shape"]), "float32", "NCHW"),),
        outputs=(TensorSpec("output", (1, given["classes"]), "float32", "NC"),),
        onnx=None if last else Path(given["onnx"]),
        tflite=Path(given["tflite"]) if last else None,
        tflite_channel_last=("input",) if last else (),
    )


def _tuning(out: Path, compiled: Compiled) -> dict[str, Any]:
    path = out / "tuning.json"
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return {"seconds": found["seconds"], "measured": len(found["measured"]), "kernels": found["kernels"]}


def timed(call: Callable[[], object]) -> float:
    """Median seconds of one turn."""
    for _ in range(_WARM_UP):
        call()
    taken: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(taken) < _LEAST or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _found(row: Row, reference: list[Array]) -> dict[str, Any]:
    pairs = list(zip(row.outputs, reference, strict=True))
    off = max(float(np.abs(mine.reshape(-1) - its.reshape(-1)).max() / np.abs(its).max()) for mine, its in pairs)
    return {"times": row.times, "difference": off, "tuning": row.tuning}


if __name__ == "__main__":
    sys.exit(main())
