"""Reference execution: what a model file computes, by the plainest kernels there are.

ONNX runs on ONNX Runtime with all graph optimisations off, or on ``onnx.reference`` where that is not
installed; TFLite runs on LiteRT's reference kernels. One thread each, so that results repeat. Inputs
and outputs are canonical: real values, in the layout of the source.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import DataError, MissingToolError, ModelError
from profiles.runner import Array, Arrays
from targets.base import TensorSpec
from targets.onnx_tools import all_graphs, dtype_name, load_onnx, onnx_package, real_inputs
from targets.tflite_tools import TfliteFile, TfliteIo, TfliteTensor, read_tflite

_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def run_onnx(path: Path, inputs: Arrays, extra_outputs: Sequence[str] = ()) -> dict[str, Array]:
    """One inference of an ONNX model.

    Args:
        path: the model; external data beside it is found.
        inputs: by name, shapes as the model has them; floats and integers are cast to its types.
        extra_outputs: names of inner tensors to return as well.

    Returns:
        outputs, then extra outputs, by name.

    Raises:
        DataError: an input is missing, unknown, or of the wrong shape.
        ModelError: the model does not load or run.
        MissingToolError: neither ``onnxruntime`` nor ``onnx`` is installed.
    """
    return OnnxReference(path, extra_outputs).run(inputs)


def onnx_activations(path: Path, inputs: Arrays, names: Sequence[str] | None = None) -> dict[str, Array]:
    """The values of inner tensors (all of the main graph when ``names`` is None) on one input, by name."""
    if names is None:
        graph = load_onnx(path, external=False).graph
        names = [name for node in graph.node for name in node.output if name]
    found = OnnxReference(path, names).run(inputs)
    return {name: found[name] for name in names}


def run_tflite(path: Path, inputs: Arrays, channel_last: Iterable[str] = ()) -> dict[str, Array]:
    """One inference of a TFLite model.

    Args:
        path: the model.
        inputs: by name (of the signature, or of the tensors where there is none), real values.
            They are quantized where the model takes integers with a scale (Jacob et al. 2018,
            equation 1), rounding halves to even, as ``targets/adapt.py`` does.
        channel_last: names of inputs and outputs that the file has in NHWC and the caller in NCHW.

    Returns:
        outputs by name, real values in the caller's layout.

    Raises:
        DataError: an input is missing, unknown, or of the wrong shape.
        ModelError: the model does not load or run.
        MissingToolError: ``ai_edge_litert`` is not installed.
    """
    return TfliteReference(path, channel_last).run(inputs)


def tflite_activations(
    path: Path, inputs: Arrays, names: Sequence[str] | None = None, channel_last: Iterable[str] = ()
) -> dict[str, Array]:
    """Real values of inner tensors (all operator outputs when ``names`` is None) on one input, by name.

    Inner tensors stay in the file's own layout; ``channel_last`` speaks of inputs only.
    """
    runner = TfliteReference(path, channel_last, keep_all=True)
    runner.run(inputs)
    return runner.activations(names)


class OnnxReference:
    """An ONNX model, loaded once for many inferences; see :func:`run_onnx`."""

    def __init__(self, path: Path, extra_outputs: Sequence[str] = ()) -> None:
        model = load_onnx(path)
        self.name = path.name
        self.inputs = tuple(_onnx_spec(value) for value in real_inputs(model.graph))
        self.outputs = [value.name for value in model.graph.output]
        extra = [name for name in dict.fromkeys(extra_outputs) if name not in self.outputs]
        _check_known(model, extra, path)
        model.graph.output.extend(onnx_package().ValueInfoProto(name=name) for name in extra)
        self.outputs += extra
        self.description, self._call = _open_onnx(model, path)

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference."""
        feed = {spec.name: _cast(inputs[spec.name], spec) for spec in _matched(inputs, self.inputs, self.name)}
        try:
            values = self._call(self.outputs, feed)
        except Exception as error:  # whatever the engine raises is the model's fault here
            raise _cannot("run", self.name, error) from error
        return {name: np.asarray(value) for name, value in zip(self.outputs, values, strict=True)}


def _open_onnx(model: Any, path: Path) -> tuple[str, Any]:
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        version = importlib.metadata.version("onnx")
        return f"onnx.reference {version}", _loaded(path, lambda: ReferenceEvaluator(model)).run
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    content = model.SerializeToString()
    create = onnxruntime.InferenceSession
    session = _loaded(path, lambda: create(content, options, providers=["CPUExecutionProvider"]))
    return f"ONNX Runtime {onnxruntime.__version__}, CPU, graph optimisations off, 1 thread", session.run


def _loaded(path: Path, load: Any) -> Any:
    try:
        return load()
    except Exception as error:  # whatever the engine raises is the model's fault here
        raise _cannot("load", path.name, error) from error


def _check_known(model: Any, names: Sequence[str], path: Path) -> None:
    known = {name for graph in all_graphs(model.graph) for node in graph.node for name in node.output}
    for name in names:
        if name not in known:
            raise DataError(f"wanted the inner tensor '{name}' of {path.name}", seen="no node of the model makes it")


def _onnx_spec(value: Any) -> TensorSpec:
    kind = value.type.tensor_type
    shape = tuple(dim.dim_value or -1 for dim in kind.shape.dim) if kind.HasField("shape") else ()
    return TensorSpec(value.name, shape, dtype_name(kind.elem_type))


class TfliteReference:
    """A TFLite model, loaded once for many inferences; see :func:`run_tflite`."""

    def __init__(self, path: Path, channel_last: Iterable[str] = (), *, keep_all: bool = False) -> None:
        self.file = read_tflite(path)
        self.channel_last = frozenset(channel_last)
        self.inputs = tuple(self._canonical(io) for io in self.file.inputs)
        version, self._interpreter = _open_tflite(path, keep_all)
        self.description = f"LiteRT {version}, reference kernels, 1 thread"

    def _canonical(self, io: TfliteIo) -> TensorSpec:
        shape = io.tensor.shape
        if io.name in self.channel_last:
            shape = tuple(shape[axis] for axis in _TO_FIRST)
        return TensorSpec(io.name, shape, "float32" if io.tensor.scale else io.tensor.dtype)

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference."""
        matched = _matched(inputs, self.inputs, self.file.path.name)
        for spec, io in zip(matched, self.file.inputs, strict=True):
            values = _cast(inputs[io.name], spec)
            moved = values.transpose(_TO_LAST) if io.name in self.channel_last else values
            self._interpreter.set_tensor(io.tensor.index, np.ascontiguousarray(quantize(moved, io.tensor)))
        try:
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise _cannot("run", self.file.path.name, error) from error
        return {io.name: self._output(io) for io in self.file.outputs}

    def _output(self, io: TfliteIo) -> Array:
        values = dequantize(np.asarray(self._interpreter.get_tensor(io.tensor.index)), io.tensor)
        return np.ascontiguousarray(values.transpose(_TO_FIRST)) if io.name in self.channel_last else values

    def activations(self, names: Sequence[str] | None = None) -> dict[str, Array]:
        """Real values of operator outputs of the last inference; needs ``keep_all``."""
        made = _operator_outputs(self.file)
        for name in names or ():
            if name not in made:
                raise DataError(
                    f"wanted the inner tensor '{name}' of {self.file.path.name}",
                    seen="no operator of the model makes it",
                )
        chosen = {name: made[name] for name in (made if names is None else names)}
        return {name: dequantize(self._interpreter.get_tensor(t.index), t) for name, t in chosen.items()}


def _operator_outputs(file: TfliteFile) -> dict[str, TfliteTensor]:
    main = {tensor.index: tensor for tensor in file.tensors if tensor.subgraph == 0}
    made = [main[index] for op in file.operators if op.subgraph == 0 for index in op.outputs]
    return {tensor.name: tensor for tensor in made}


def _open_tflite(path: Path, keep_all: bool) -> tuple[str, Any]:
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise MissingToolError(
            "running a TFLite file needs the package ai-edge-litert",
            seen=str(error),
            next_step="run: pip install 'edgewright[litert]'",
        ) from error
    try:
        interpreter = Interpreter(
            str(path),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=keep_all,
            num_threads=1,
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise _cannot("load", path.name, error) from error
    return importlib.metadata.version("ai-edge-litert"), interpreter


def quantize(values: Array, tensor: TfliteTensor) -> Array:
    """Real values to what the tensor stores; unchanged for tensors without one common scale."""
    if len(tensor.scale) != 1 or not np.issubdtype(values.dtype, np.floating):
        return values.astype(np.dtype(tensor.dtype), copy=False)
    limits = np.iinfo(tensor.dtype)
    steps = np.rint(values / np.float32(tensor.scale[0])) + tensor.zero_point[0]
    return np.asarray(np.clip(steps, limits.min, limits.max).astype(np.dtype(tensor.dtype)))


def dequantize(values: Array, tensor: TfliteTensor) -> Array:
    """Stored values to real ones in float32; unchanged for tensors without a scale."""
    if not tensor.scale or not np.issubdtype(values.dtype, np.integer):
        return np.array(values)
    shape = [1] * values.ndim
    if len(tensor.scale) > 1:
        shape[tensor.axis] = len(tensor.scale)
    scale = np.asarray(tensor.scale, np.float32).reshape(shape)
    zero = np.asarray(tensor.zero_point, np.float32).reshape(shape)
    return np.asarray((values.astype(np.float32) - zero) * scale, np.float32)


def _matched(inputs: Mapping[str, Array], specs: Sequence[TensorSpec], name: str) -> Sequence[TensorSpec]:
    """The specs, once names and shapes of the inputs are known to fit them (-1 fits any size)."""
    wanted = {spec.name for spec in specs}
    if set(inputs) != wanted:
        raise DataError(
            f"wanted the inputs of {name}", seen=", ".join(inputs) or "none", allowed=", ".join(sorted(wanted))
        )
    for spec in specs:
        seen = np.shape(inputs[spec.name])
        fits = len(seen) == len(spec.shape) and all(a in (b, -1) for a, b in zip(spec.shape, seen, strict=True))
        if not fits:
            raise DataError(
                f"wanted the input '{spec.name}' of {name}", seen=f"shape {seen}", allowed=f"shape {spec.shape}"
            )
    return specs


def _cast(values: Array, spec: TensorSpec) -> Array:
    """The values in the spec's type; floats are never cut to integers."""
    values, dtype = np.asarray(values), np.dtype(spec.dtype)
    if values.dtype != dtype and np.issubdtype(values.dtype, np.floating) and not np.issubdtype(dtype, np.floating):
        raise DataError(f"wanted the input '{spec.name}' as {dtype}", seen=f"{values.dtype} values")
    return np.ascontiguousarray(values, dtype)


def _cannot(verb: str, name: str, error: Exception) -> ModelError:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ModelError(
        f"wanted to {verb} {name} in the reference engine",
        seen=first,
        next_step="check the file with the tool that made it",
    )
