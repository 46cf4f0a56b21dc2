"""Golden samples for models that come without data: random inputs by seed, and their reference outputs."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from profiles.errors import DataError, ModelError
from profiles.runner import Array, Arrays
from targets.base import ExportedModel, TensorSpec
from targets.reference import OnnxReference, TfliteReference
from targets.tflite_tools import read_tflite

#: Runs a model's reference on stacked inputs: (outputs stacked the same way, how it was run in words).
ReferenceRun = Callable[[ExportedModel, Arrays], tuple[dict[str, Array], str]]


def with_golden(
    model: ExportedModel,
    inputs: Arrays | None = None,
    *,
    samples: int = 8,
    seed: int = 0,
    run: ReferenceRun | None = None,
) -> ExportedModel:
    """The same model with golden inputs and the outputs that its reference computes on them.

    Args:
        model: with at least one file.
        inputs: canonical inputs by name, stacked on a new first axis; None for random ones.
        samples: how many random ones.
        seed: of the random ones.
        run: how to run the reference; the default does it in this process. A file from elsewhere
            may crash an engine, so give one that does it in a process of its own.

    Raises:
        DataError: inputs that do not fit the model, or are not finite.
        ModelError: the reference cannot run the model, or computes values that are not finite.
    """
    stacked = random_inputs(model, samples, seed) if inputs is None else _checked(model, inputs)
    outputs, description = (run or run_reference)(model, stacked)
    for name, values in outputs.items():
        if not np.isfinite(values.astype(np.float64)).all():
            raise ModelError(
                f"wanted finite values in the output '{name}' of {model.name}",
                seen="NaN or infinity on the golden inputs",
                next_step="check the weights, or give golden inputs in the range that the model expects",
            )
    return dataclasses.replace(model, golden_inputs=stacked, golden_outputs=outputs, reference=description)


def random_inputs(model: ExportedModel, samples: int = 8, seed: int = 0) -> dict[str, Array]:
    """Random canonical inputs, stacked on a new first axis; each input has a stream of its own.

    Quantized inputs are drawn evenly from all values that they can hold, floats from a standard
    normal distribution, integers from {0, 1} (valid as index, token or mask), booleans evenly.
    """
    stored = _storage_types(model)
    return {
        spec.name: _random((samples, *spec.shape), spec, stored.get(spec.name, ""), _generator(seed, spec.name))
        for spec in model.inputs
    }


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *hashlib.sha256(name.encode()).digest()[:8]])


def _storage_types(model: ExportedModel) -> Mapping[str, str]:
    if model.onnx is not None or model.tflite is None:
        return {}
    return {io.name: io.tensor.dtype for io in read_tflite(model.tflite).inputs}


def _random(shape: tuple[int, ...], spec: TensorSpec, stored: str, generator: np.random.Generator) -> Array:
    dtype = np.dtype(spec.dtype)
    if spec.scale is not None and stored:
        limits = np.iinfo(stored)
        steps = generator.integers(limits.min, limits.max, shape, endpoint=True) - (spec.zero_point or 0)
        return (steps * np.float32(spec.scale)).astype(np.float32)
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(shape).astype(dtype)
    return generator.integers(0, 1, shape, endpoint=True).astype(dtype)


def _checked(model: ExportedModel, inputs: Arrays) -> dict[str, Array]:
    wanted = {spec.name: spec for spec in model.inputs}
    counts = {len(values) for values in inputs.values() if np.ndim(values)}
    if set(inputs) != set(wanted) or len(counts) != 1 or 0 in counts:
        raise DataError(
            f"wanted golden inputs for {model.name}, equally many for each",
            seen=", ".join(f"{name} {np.shape(values)}" for name, values in inputs.items()) or "none",
            allowed=", ".join(f"{spec.name} (samples, {', '.join(map(str, spec.shape))})" for spec in model.inputs),
        )
    for name, values in inputs.items():
        _check_array(name, values, wanted[name])
    return {name: np.ascontiguousarray(inputs[name], dtype=np.dtype(wanted[name].dtype)) for name in wanted}


def _check_array(name: str, values: Array, spec: TensorSpec) -> None:
    if values.shape[1:] != spec.shape:
        raise DataError(
            f"wanted golden inputs '{name}'", seen=f"shape {values.shape[1:]} per sample", allowed=f"shape {spec.shape}"
        )
    if np.issubdtype(values.dtype, np.floating) != np.issubdtype(np.dtype(spec.dtype), np.floating):
        raise DataError(f"wanted golden inputs '{name}' as {spec.dtype}", seen=str(values.dtype))
    if not np.isfinite(values.astype(np.float64)).all():
        raise DataError(f"wanted finite golden inputs '{name}'", seen="NaN or infinity")


def run_reference(model: ExportedModel, inputs: Arrays) -> tuple[dict[str, Array], str]:
    """Run the model's reference on stacked inputs, in this process; see ``targets/reference.py``."""
    engine = open_model(model)
    results = [engine.run({name: stack[i] for name, stack in inputs.items()}) for i in range(_count(inputs))]
    return stack_outputs(results), engine.description


def open_model(model: ExportedModel) -> OnnxReference | TfliteReference:
    """The reference engine for a model: its ONNX file if there is one, else its TFLite file."""
    if model.onnx is not None:
        return OnnxReference(model.onnx)
    if model.tflite is not None:
        return TfliteReference(model.tflite, model.tflite_channel_last)
    raise ValueError(f"the model '{model.name}' has no file")


def _count(inputs: Arrays) -> int:
    return len(next(iter(inputs.values())))


def stack_outputs(results: Sequence[Arrays]) -> dict[str, Array]:
    """Outputs of single samples, stacked on a new first axis."""
    return {name: np.stack([result[name] for result in results]) for name in results[0]}
