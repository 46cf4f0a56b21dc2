"""Runs an ONNX bundle with ONNX Runtime's CPU provider. Travels to the device."""

from __future__ import annotations

import json
import re
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnxruntime as ort

from profiles.errors import OutputError
from profiles.measurement import Kind, Metric
from profiles.runner import Array, Arrays, Counters, LayerCounters
from targets.base import Compiled

#: Operators that hold a network's arithmetic, as the profiler names them after fusion.
COMPUTE_OPS = frozenset(
    [
        "Conv",
        "FusedConv",
        "ConvTranspose",
        "ConvInteger",
        "QLinearConv",
        "NhwcFusedConv",
        "MatMul",
        "FusedMatMul",
        "Gemm",
        "FusedGemm",
        "QGemm",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QLinearMatMul",
        "DynamicQuantizeMatMul",
        "LSTM",
        "GRU",
        "RNN",
        "Attention",
        "MultiHeadAttention",
        "QAttention",
    ]
)
_PRECISIONS = {
    "float": "fp32",
    "float16": "fp16",
    "bfloat16": "bf16",
    "int8": "int8",
    "uint8": "int8",
    "double": "fp64",
}
_PROFILED_RUNS = 30


def session_options(threads: int) -> ort.SessionOptions:
    """Options shared by measuring and profiling: a fixed number of threads, one operator at a time."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


class OnnxRuntimeRunner:
    """One session with bound inputs and outputs."""

    timed = True

    def __init__(self, folder: Path, compiled: Compiled) -> None:
        self._model = str(folder / compiled.files[0])
        self._compiled = compiled
        self._threads = int(compiled.options.get("threads", 1))
        self._session: Any = None
        self._last: Arrays = {}

    def __enter__(self) -> OnnxRuntimeRunner:
        self._session = self._open(session_options(self._threads))
        return self

    def _open(self, options: ort.SessionOptions) -> ort.InferenceSession:
        return ort.InferenceSession(self._model, options, providers=["CPUExecutionProvider"])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference."""
        names = [spec.name for spec in self._compiled.outputs]
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """One inference on tensors that ONNX Runtime already holds."""
        session, binding = self._session, self._session.io_binding()
        self._last = inputs
        for name, values in inputs.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(values))
        for spec in self._compiled.outputs:
            empty = np.zeros(spec.shape, np.dtype(spec.dtype))
            binding.bind_ortvalue_output(spec.name, ort.OrtValue.ortvalue_from_numpy(empty))
        return lambda: session.run_with_iobinding(binding)

    def counters(self) -> Counters:
        """Per-layer times and precisions from ONNX Runtime's own profiler, on the inputs last bound."""
        facts = {"engine": f"onnxruntime {ort.__version__}", "threads": str(self._threads)}
        if not self._last:
            return Counters(facts=facts)
        self._session = None  # one model in memory at a time
        with tempfile.TemporaryDirectory() as folder:
            events = self._profile(folder)
        layers = _layers(events)
        executed: dict[str, int] = {}
        for layer in layers:
            if layer.op in COMPUTE_OPS:
                executed[layer.precision] = executed.get(layer.precision, 0) + 1
        return Counters(layers=layers, executed=executed, facts=facts)

    def _profile(self, folder: str) -> list[dict[str, Any]]:
        options = session_options(self._threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "ort")
        session = self._open(options)
        for _ in range(_PROFILED_RUNS):
            session.run(None, dict(self._last))
        return _read_events(Path(session.end_profiling()))


def _read_events(path: Path) -> list[dict[str, Any]]:
    """What ONNX Runtime's profiler wrote; it does not notice when a full disk takes nothing any more.

    Raises:
        OutputError: the file ends too early.
    """
    try:
        events: list[dict[str, Any]] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise OutputError(
            f"wanted the profile that ONNX Runtime writes to {path}",
            seen="a file that is cut off, as on a full disk",
            next_step="free some space there, or set TMPDIR to another folder",
        ) from error
    return events


def _layers(events: list[dict[str, Any]]) -> tuple[LayerCounters, ...]:
    """One row per node that ran, in order of execution, with the median of its kernel times."""
    times: dict[str, list[float]] = {}
    first: dict[str, dict[str, Any]] = {}
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            first.setdefault(name, event["args"])
            times.setdefault(name, []).append(event["dur"] * 1e-6)
    rows = []
    how = f"ONNX Runtime profiler, median of {_PROFILED_RUNS} runs, resolution 1 µs"
    for name, args in first.items():
        metric = Metric(statistics.median(times[name]), "s", Kind.MEASURED, how)
        op = args.get("op_name", "")
        rows.append(LayerCounters(_layer_name(name), op, {"latency_p50": metric}, _precision(args)))
    return tuple(rows)


def _layer_name(event: str) -> str:
    """The node's name, without what ONNX Runtime appends when it fuses nodes."""
    return re.sub(r"_token_\d+$", "", event.removesuffix("_kernel_time"))


def _precision(args: Mapping[str, Any]) -> str:
    """Of a node's first input, which is its activation."""
    for shape in args.get("input_type_shape", ()):
        for dtype in shape:
            return str(_PRECISIONS.get(dtype, dtype))
    return ""


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> OnnxRuntimeRunner:
    """The runner for one bundle."""
    return OnnxRuntimeRunner(folder, compiled)
