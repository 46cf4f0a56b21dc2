"""From a float TFLite file to int8 or fp16 weights, by ai-edge-quantizer.

The library's own calibrator keeps a moving average, which cuts the tails of logits; ranges come
from our calibrators instead and are handed to its ``quantize``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import UnsupportedError
from profiles.runner import Array, Arrays
from targets.adapt import inputs_to_native
from targets.base import CalibrationSet, ExportedModel, LayerError, Scheme
from targets.calibration import check_samples, observe, ranges
from targets.histogram import Range
from targets.layer_errors import compare
from targets.quiet import in_our_words, quiet
from targets.tflite_io import native_io, tensor_index
from targets.tflite_pads import finite, pads_with_infinity, with_finite_pads
from targets.tflite_tools import computes_weights, read_tflite


def to_int8(model: ExportedModel, calibration: CalibrationSet, scheme: Scheme, out: Path) -> ExportedModel:
    """Static int8: weights per channel and symmetric, activations asymmetric (TFLite quantization specification)."""
    assert model.tflite is not None
    check_samples(calibration, {spec.name: spec.shape for spec in model.inputs})
    seen = ranges(observe(watch(model, model.tflite, calibration)), scheme.calibrator, scheme.percentile)
    ranks = {tensor.name: len(tensor.shape) for tensor in read_tflite(model.tflite).tensors}
    stored = {name: _as_statistics(limits, ranks[name]) for name, limits in seen.items()}
    prepared, target = out / "finite.tflite", out / "model.tflite"
    prepared.write_bytes(with_finite_pads(model.tflite, seen))
    kept = _left_in_float(prepared)
    target.write_bytes(_apply(prepared, lambda worker: _static_int8(worker, scheme, kept), stored))
    notes = {
        "dialect": "TFLite int8, asymmetric activations, symmetric weights",
        "calibrator": scheme.calibrator,
        "calibration samples": str(len(calibration)),
    }
    return dataclasses.replace(
        model,
        tflite=target,
        onnx=None,
        precision="int8",
        float_tflite=model.tflite,
        notes={**model.notes, **notes},
    )


def to_fp16(model: ExportedModel, out: Path) -> ExportedModel:
    """Weights stored in fp16; arithmetic stays fp32 unless the processor's delegate chooses otherwise."""
    assert model.tflite is not None
    target = out / "model.tflite"
    target.write_bytes(_apply(model.tflite, _float_casting, None))
    return dataclasses.replace(model, tflite=target, onnx=None, precision="fp16", float_tflite=model.tflite)


@functools.cache
def quantized_kinds() -> frozenset[str]:
    """Builtin operators that ai-edge-quantizer turns into int8 ones; it leaves others in float."""
    from ai_edge_quantizer.default_policy import DEFAULT_JSON_POLICY

    listed = json.loads(DEFAULT_JSON_POLICY)["ops_per_config"]["static_wi8_ai8"]
    return frozenset({"CONV_2D_TRANSPOSE": "TRANSPOSE_CONV"}.get(name, name) for name in listed)


def _as_statistics(limits: Range, rank: int) -> dict[str, Array]:
    """A range as ai-edge-quantizer keeps it: arrays of the tensor's rank with one element; zero is always inside."""
    low, high = limits
    shape = (1,) * rank
    return {"min": np.full(shape, min(low, 0.0), np.float32), "max": np.full(shape, max(high, 0.0), np.float32)}


def _static_int8(worker: Any, scheme: Scheme, left_in_float: str) -> None:
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

    granularity = QuantGranularity.CHANNELWISE if scheme.per_channel else QuantGranularity.TENSORWISE
    worker.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, 8, 8, granularity)
    if left_in_float:
        no = AlgorithmName.NO_QUANTIZE
        worker.update_quantization_recipe(left_in_float, TFLOperationName.ALL_SUPPORTED, algorithm_key=no)


def _left_in_float(path: Path) -> str:
    """A pattern for operators that must stay as they are; empty when there are none.

    These are operators inside other operators (the sum of a STABLEHLO_REDUCE_WINDOW), whose values nobody sees, and
    convolutions with computed weights, whose int8 kernels want a zero point of 0 that activations do not have.

    ai-edge-quantizer spells an operator as the names of its outputs with a semicolon after each, and
    counts a graph's inputs and outputs as operators too.
    """
    file = read_tflite(path)
    inner = [tensor.name for tensor in file.tensors if tensor.subgraph > 0]
    computed = [
        file.tensor(operator.outputs[0]).name for operator in file.operators if computes_weights(file, operator)
    ]
    names = "|".join(re.escape(name) for name in (*inner, *computed))
    return f"^(?:(?:{names});)+$" if names else ""


def _float_casting(worker: Any) -> None:
    from ai_edge_quantizer import algorithm_manager, qtyping

    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    key = algorithm_manager.AlgorithmName.FLOAT_CASTING
    worker.update_quantization_recipe(".*", qtyping.TFLOperationName.ALL_SUPPORTED, config, key)


def _apply(path: Path, configure: Callable[[Any], None], statistics: Any) -> bytes:
    """Run the library on one file.

    Raises:
        UnsupportedError: it cannot quantize the model; its words are passed on.
    """
    from ai_edge_quantizer import quantizer

    with quiet() as chatter, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of its interpreter, meant for its authors
        try:
            worker = quantizer.Quantizer(str(path))
            configure(worker)
            result = worker.quantize(statistics, enable_progress_bar=False, enable_progress_report=False)
        except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
            raise UnsupportedError(
                "ai-edge-quantizer could not quantize the model", seen=f"{error} {chatter.tail(1)}".strip()
            ) from error
    return bytes(result.quantized_model)


def watch(model: ExportedModel, path: Path, samples: CalibrationSet) -> Iterator[dict[str, Array]]:
    """Run a TFLite file and yield every activation by name, sample by sample (quantized ones as real values).

    Minus infinity, where a max pool is padded with it, is shown as the lowest finite value.
    """
    from ai_edge_litert.interpreter import Interpreter

    inputs, _ = native_io(path, model.inputs, model.outputs, model.tflite_channel_last)
    with in_our_words("LiteRT must load the model to watch its tensors"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # keeping all tensors is what we are here for
        interpreter = Interpreter(str(path), experimental_preserve_all_tensors=True, num_threads=1)
        interpreter.allocate_tensors()
    activations = {t.index for t in read_tflite(path).tensors if t.subgraph == 0 and not t.constant and t.name}
    details = [row for row in interpreter.get_tensor_details() if row["index"] in activations]
    padded = pads_with_infinity(path)
    for sample in samples:
        interpreter.reset_all_variables()
        for name, values in inputs_to_native(sample, model.inputs, inputs).items():
            interpreter.set_tensor(tensor_index(name), values)
        interpreter.invoke()
        seen = dict(_real_values(interpreter, details))
        yield {name: finite(values) if name in padded else values for name, values in seen.items()}


def tensor_errors(quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
    """Tensor by tensor: the float file against the quantized one, both with LiteRT's built-in kernels."""
    if quantized.float_tflite is None or quantized.tflite is None:
        return []
    kept = list(samples)
    file = read_tflite(quantized.float_tflite)
    ops = {file.tensor(row.outputs[0]).name: row.op for row in file.operators if row.subgraph == 0 and row.outputs}
    reference = watch(quantized, quantized.float_tflite, kept)
    return compare(reference, watch(quantized, quantized.tflite, kept), ops)


def _real_values(interpreter: Any, details: list[dict[str, Any]]) -> Iterator[tuple[str, Array]]:
    for row in details:
        try:
            values = interpreter.get_tensor(row["index"])
        except ValueError:  # a tensor that the graph never computes has no data
            continue
        scale, zero_point = row["quantization"]
        if scale and values.dtype in (np.int8, np.uint8, np.int16):
            values = (values.astype(np.float32) - zero_point) * np.float32(scale)
        if values.dtype == np.float32:
            yield row["name"], np.array(values)
