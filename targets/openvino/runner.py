"""Runs an OpenVINO IR bundle on the CPU plugin. Travels to the device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import openvino as ov

from profiles.measurement import Kind, Metric
from profiles.runner import Array, Arrays, Counters, LayerCounters
from targets.base import Compiled

COMPUTE_OPS = frozenset(
    ["Convolution", "Deconvolution", "FullyConnected", "MatMul", "RNNSeq", "RNNCell", "LSTMSequence", "GRUSequence"]
)
_PRECISIONS = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}
_EARLY_RUNS, _LATE_RUNS = 10, 50


class OpenVinoRunner:
    """One compiled model and one infer request."""

    timed = True

    def __init__(self, folder: Path, compiled: Compiled) -> None:
        self._model = str(folder / compiled.files[0])
        self._compiled = compiled
        self._threads = int(compiled.options.get("threads", 1))
        self._hint = str(compiled.options.get("hint", "f32"))
        self._network: Any = None
        self._request: Any = None
        self._last: Arrays = {}

    def __enter__(self) -> OpenVinoRunner:
        self._network = self._compile({})
        self._request = self._network.create_infer_request()
        return self

    def _compile(self, extra: Mapping[str, Any]) -> Any:
        settings = {
            "INFERENCE_PRECISION_HINT": self._hint,
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            **extra,
        }
        return ov.Core().compile_model(self._model, "CPU", settings)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._request = self._network = None

    def _place(self, request: Any, inputs: Arrays) -> list[Array]:
        kept = [np.ascontiguousarray(inputs[spec.name]) for spec in self._compiled.inputs]
        for index, values in enumerate(kept):
            request.set_input_tensor(index, ov.Tensor(values, shared_memory=True))
        return kept

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference; inputs and outputs are matched by position, because IR names may be missing."""
        kept = self._place(self._request, inputs)
        self._request.infer()
        del kept
        outputs = enumerate(self._compiled.outputs)
        return {spec.name: self._request.get_output_tensor(index).data.copy() for index, spec in outputs}

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """One inference on tensors shared with the request, without building a dictionary of results."""
        self._last = {
            spec.name: values
            for spec, values in zip(self._compiled.inputs, self._place(self._request, inputs), strict=True)
        }
        plain: Any = super(type(self._request), self._request)  # the request without its dictionary of results
        return functools.partial(plain.infer, {}, True, False)  # share outputs, no strings; keywords would take longer

    def counters(self) -> Counters:
        """Per-layer times and precisions from OpenVINO's performance counters, on the inputs last bound."""
        facts = {
            "engine": f"openvino {ov.get_version()}",
            "threads": str(self._network.get_property("INFERENCE_NUM_THREADS")),
            "precision hint": str(self._network.get_property("INFERENCE_PRECISION_HINT").get_type_name()),
        }
        if not self._last:
            return Counters(facts=facts)
        self._request = self._network = None  # one model in memory at a time
        layers = self._layers()
        executed: dict[str, int] = {}
        for layer in layers:
            if layer.op in COMPUTE_OPS:
                executed[layer.precision] = executed.get(layer.precision, 0) + 1
        return Counters(layers=layers, executed=executed, facts=facts)

    def _layers(self) -> tuple[LayerCounters, ...]:
        network = self._compile({"PERF_COUNT": "YES"})
        request = network.create_infer_request()
        kept = self._place(request, self._last)
        early = _times_after(request, _EARLY_RUNS)
        late = _times_after(request, _LATE_RUNS)
        del kept
        times = {name: _later_mean(early.get(name, 0.0), mean) for name, mean in late.items()}
        return tuple(_row(node, times) for node in network.get_runtime_model().get_ordered_ops() if _ran(node, times))


def _times_after(request: Any, runs: int) -> dict[str, float]:
    """Seconds per node, averaged by the plugin over all inferences so far, after ``runs`` more."""
    for _ in range(runs):
        request.infer()
    return {info.node_name: info.real_time.total_seconds() for info in request.profiling_info}


def _later_mean(early: float, whole: float) -> float:
    """The mean over the later runs alone: the first ones pay for just-in-time kernels."""
    total = _EARLY_RUNS + _LATE_RUNS
    return max((whole * total - early * _EARLY_RUNS) / _LATE_RUNS, 0.0)


def _info(node: Any, key: str) -> str:
    info = node.get_rt_info()
    return str(info[key].astype(str)) if key in info else ""


def _ran(node: Any, times: Mapping[str, float]) -> bool:
    kind = _info(node, "layerType")
    return node.get_friendly_name() in times and kind not in ("Input", "Output", "Const", "Parameter", "Result", "")


def _row(node: Any, times: Mapping[str, float]) -> LayerCounters:
    how = f"OpenVINO performance counters, mean of {_LATE_RUNS} runs after {_EARLY_RUNS}, resolution 1 µs"
    metric = Metric(times[node.get_friendly_name()], "s", Kind.MEASURED, how)
    return LayerCounters(node.get_friendly_name(), _info(node, "layerType"), {"latency_p50": metric}, _precision(node))


def _precision(node: Any) -> str:
    """Of the kernel that was chosen (``brgconv_avx512_I8``); the node's own word may be that of its weights."""
    runtime, kernel = _info(node, "runtimePrecision"), _info(node, "primitiveType").rpartition("_")[2].lower()
    return _PRECISIONS.get(kernel) or _PRECISIONS.get(runtime, runtime)


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> OpenVinoRunner:
    """The runner for one bundle."""
    return OpenVinoRunner(folder, compiled)
