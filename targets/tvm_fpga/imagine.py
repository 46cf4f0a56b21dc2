"""What a float model will look like once it is quantized, so that ``support`` can tell the split beforehand."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from profiles.errors import UnsupportedError
from targets.base import ExportedModel, Scheme, TensorSpec
from targets.onnx_quantize import Dialect, to_int8
from targets.onnx_tools import is_quantized, load_onnx

#: What ONNX Runtime's quantizer is asked for.
DIALECT = Dialect(True, False, "QDQ, int8 activations, int8 weights")
#: Of the noise that stands for samples. Ranges move no operator between array and host, unless a scale leaves the
#: multiplier's limits.
_SEED, _SAMPLES = 0, 2


@contextlib.contextmanager
def as_if_quantized(model: ExportedModel) -> Iterator[Path | None]:
    """A quantized file: the model's own, or one that is quantized on noise and gone afterwards.

    Raises:
        DataError, ModelError: the quantizer cannot do it.
        UnsupportedError: a TFLite file in float.
    """
    if model.onnx is None:
        yield _integers(model)
    elif is_quantized(load_onnx(model.onnx, external=False)):
        yield model.onnx
    else:
        with tempfile.TemporaryDirectory() as folder:
            noise = np.random.default_rng(_SEED)
            samples = [{spec.name: _values(spec, noise) for spec in model.inputs} for _ in range(_SAMPLES)]
            yield to_int8(model, samples, Scheme("int8"), Path(folder), DIALECT).onnx


def _integers(model: ExportedModel) -> Path | None:
    from targets import tflite_tools

    if model.tflite is None or tflite_tools.is_quantized(tflite_tools.read_tflite(model.tflite)):
        return model.tflite
    raise UnsupportedError(
        f"wanted '{model.name}' in int8",
        seen="a TFLite file in float",
        allowed="a TFLite file in int8, or a model in ONNX or PyTorch, which is quantized on the way",
    )


def _values(spec: TensorSpec, noise: np.random.Generator) -> np.ndarray:
    if np.dtype(spec.dtype).kind == "f":
        return noise.standard_normal(spec.shape).astype(spec.dtype)
    return np.zeros(spec.shape, spec.dtype)
