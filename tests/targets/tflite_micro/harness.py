"""For tests of the Cortex-M backend: tiny TFLite files, the reference's answers, ours on the host and in an emulator.

Every ``samples`` is a list of inferences, each a list of arrays, one per input, in the dtype and shape of the file.
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from profiles.device import load_device
from targets.tflite_micro.build import make_program
from targets.tflite_micro.device import variant_of
from targets.tflite_micro.emit.source import write_model
from targets.tflite_micro.emulate.session import emulate
from targets.tflite_micro.firmware.build import link
from targets.tflite_micro.graph.ir import Graph
from targets.tflite_micro.graph.load import load_graph_bytes
from targets.tflite_micro.kernels import INCLUDE, SOURCES
from targets.tflite_micro.program import Program

SHARED_MODELS = Path(__file__).parents[4] / "shared" / "models" / "mlperf_tiny"
_SCRATCH = tempfile.TemporaryDirectory(prefix="edgewright-micro-")
_FLAGS = ["-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]
_SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


# --- files ---------------------------------------------------------------------------------------


def tensor(shape, dtype="int8", scale=None, zero_point=0, data=None, axis=0, variable=False, name=""):
    """One tensor as plain data; ``scale`` is a number or a list along ``axis``; ``data`` makes it a constant."""
    return {
        "shape": tuple(int(n) for n in shape), "dtype": dtype, "scale": scale, "zero_point": zero_point, "data": data,
        "axis": axis, "variable": variable, "name": name,
    }  # fmt: skip


def tiny(ops, tensors, inputs, outputs, subgraphs=()) -> bytes:
    """A TFLite file.

    Args:
        ops: (builtin name, input indices, output indices, options), where options is a mapping of members
            of the schema's options table in its own camelCase, with enumerations as numbers:
            ``("CONV_2D", [0, 1, 2], [3], {"strideH": 1, "strideW": 1, "padding": 0})``; the table follows from the
            name, or from the key "table" ("Pool2DOptions") where it does not.
        tensors: made by :func:`tensor`.
        inputs, outputs: of the graph.
        subgraphs: further (ops, tensors, inputs, outputs).
    """
    made = schema.ModelT()
    made.version, made.description = 3, "test"
    made.buffers, made.operatorCodes, made.subgraphs = [schema.BufferT()], [], []
    codes: dict[str, int] = {}
    for part in [(ops, tensors, inputs, outputs), *subgraphs]:
        made.subgraphs.append(_subgraph(made, codes, *part))
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _subgraph(model, codes, ops, tensors, inputs, outputs):
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(model, index, spec) for index, spec in enumerate(tensors)]
    graph.inputs, graph.outputs, graph.operators = list(inputs), list(outputs), []
    for name, ins, outs, options in ops:
        operator = schema.OperatorT()
        operator.opcodeIndex = _code(model, codes, name)
        operator.inputs, operator.outputs = list(ins), list(outs)
        intermediates = options.get("intermediates")
        if intermediates is not None:
            operator.intermediates = list(intermediates)
        table = options.get("table") or _table(name)
        if table:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(schema, table + "T")()
            for key, value in options.items():
                if key not in ("table", "intermediates"):
                    assert hasattr(operator.builtinOptions, key), f"{table} has no {key}"
                    setattr(operator.builtinOptions, key, value)
        graph.operators.append(operator)
    return graph


_TABLES = {
    "AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions", "CONCATENATION": "ConcatenationOptions",
    "MEAN": "ReducerOptions", "SUM": "ReducerOptions", "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions", "LOGISTIC": "", "TANH": "", "RELU": "", "RELU6": "", "PRELU": "",
    "RELU_N1_TO_1": "", "RELU_0_TO_1": "", "MINIMUM": "MaximumMinimumOptions", "MAXIMUM": "MaximumMinimumOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions", "SVDF": "SVDFOptions",
}  # fmt: skip


def _table(name: str) -> str:
    if name in _TABLES:
        return _TABLES[name]
    known = {key.lower(): key for key in vars(schema.BuiltinOptions) if key.endswith("Options")}
    return known.get(name.replace("_", "").lower() + "options", "")


def _code(model, codes, name) -> int:
    if name not in codes:
        codes[name] = len(codes)
        made = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, name)
        made.builtinCode, made.deprecatedBuiltinCode, made.version = number, min(number, 127), _VERSIONS.get(name, 2)
        model.operatorCodes.append(made)
    return codes[name]


_VERSIONS = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "SOFTMAX": 2, "RESHAPE": 1, "TRANSPOSE_CONV": 3,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 3, "CALL_ONCE": 1, "VAR_HANDLE": 1, "READ_VARIABLE": 1, "ASSIGN_VARIABLE": 1,
    "RESIZE_BILINEAR": 3, "RESIZE_NEAREST_NEIGHBOR": 3, "SVDF": 3, "HARD_SWISH": 1, "PRELU": 1, "SQUEEZE": 1,
    "EXPAND_DIMS": 1, "DEPTH_TO_SPACE": 1, "RELU_N1_TO_1": 1, "RELU_0_TO_1": 1, "GELU": 2,
}  # fmt: skip


def _tensor(model, index, spec):
    made = schema.TensorT()
    made.name = (spec["name"] or f"tensor_{index}").encode()
    made.shape, made.type = list(spec["shape"]), getattr(schema.TensorType, spec["dtype"].upper())
    made.isVariable = spec["variable"]
    if spec["scale"] is not None:
        scale = np.atleast_1d(np.asarray(spec["scale"], np.float32))
        zero = np.broadcast_to(np.asarray(spec["zero_point"], np.int64), scale.shape)
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = scale.tolist(), zero.tolist()
        made.quantization.quantizedDimension = spec["axis"]
    made.buffer = 0
    if spec["data"] is not None:
        values = np.asarray(spec["data"], spec["dtype"]).reshape(spec["shape"])
        made.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = np.frombuffer(values.tobytes(), np.uint8)
    return made


# --- the reference -------------------------------------------------------------------------------


def reference(model: bytes, samples: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
    """LiteRT's reference kernels, one inference after the other; variables keep their values from one to the next."""
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    results = []
    for sample in samples:
        for detail, values in zip(inputs, sample, strict=True):
            interpreter.set_tensor(detail["index"], values)
        interpreter.invoke()
        results.append([np.array(interpreter.get_tensor(detail["index"])) for detail in outputs])
    return results


def random_samples(model: bytes, count=64, seed=0) -> list[list[np.ndarray]]:
    """Random inputs, and the first few at the limits: all lowest, all highest, alternating, all zero."""
    graph = graph_of(model)
    random = np.random.default_rng(seed)
    return [[_values(graph.tensor(key), random, place) for key in graph.inputs] for place in range(count)]


def _values(spec, random, place):
    if spec.dtype == "float32":
        return random.normal(0, 1, spec.shape).astype(np.float32)
    info = np.iinfo(spec.dtype)
    edges = [info.min, info.max, 0, None]
    if place < 3:
        return np.full(spec.shape, edges[place], spec.dtype)
    if place == 3:
        return np.where(np.arange(spec.elements) % 2, info.min, info.max).astype(spec.dtype).reshape(spec.shape)
    return random.integers(info.min, info.max, spec.shape, endpoint=True, dtype=spec.dtype)


# --- ours ----------------------------------------------------------------------------------------


def graph_of(model: bytes) -> Graph:
    """The graph of a file, as it is lowered."""
    return load_graph_bytes(model, "test")


def program_of(model: bytes, variant="portable") -> Program:
    """The program of a file."""
    return make_program(graph_of(model), variant)


def host(model: bytes, samples, variant="portable", sanitize=False) -> list[list[np.ndarray]]:
    """Compile for this machine, run all samples one after the other in one process, and give the outputs back."""
    program = program_of(model, variant)
    binary = _host_binary(program, variant, sanitize)
    given = b"".join(np.ascontiguousarray(values).tobytes() for sample in samples for values in sample)
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(
        [binary, str(len(samples))], input=given, capture_output=True, check=False, timeout=120, env=env
    )
    assert done.returncode == 0, (
        f"the host build failed ({done.returncode}):\n{done.stderr.decode(errors='replace')[-3000:]}"
    )
    return _split(program, done.stdout, len(samples))


def _split(program: Program, data: bytes, count: int) -> list[list[np.ndarray]]:
    specs = [program.graph.tensor(key) for key in program.graph.outputs]
    place, results = 0, []
    for _ in range(count):
        row = []
        for spec in specs:
            row.append(np.frombuffer(data, spec.dtype, spec.elements, place).reshape(spec.shape))
            place += spec.bytes
        results.append(row)
    assert place == len(data), f"wanted {place} bytes of outputs, seen {len(data)}"
    return results


def _host_binary(program: Program, variant: str, sanitize: bool) -> Path:
    folder = Path(tempfile.mkdtemp(dir=_SCRATCH.name))
    write_model(program, folder)
    flags = [*_FLAGS, *(_SANITIZE if sanitize else []), f"-DEW_{variant.upper()}", f"-I{INCLUDE}", f"-I{folder}"]
    objects = [_object(SOURCES / name, tuple(flags[:-1])) for name in _sources(program)]
    main = Path(__file__).with_name("host_main.c")
    _gcc([*flags, "-o", str(folder / "model"), str(folder / "edgewright_model.c"), str(main), *map(str, objects)])
    return folder / "model"


def _sources(program: Program) -> list[str]:
    return sorted({source for call in program.calls for source in call.sources})


def _object(source: Path, flags: tuple[str, ...]) -> Path:
    """A kernel compiled once per content and flags."""
    texts = b"".join(path.read_bytes() for path in [source, *sorted(INCLUDE.glob("*.h"))])
    return _compiled(source, flags, hashlib.sha256(texts).hexdigest())


@functools.cache
def _compiled(source: Path, flags: tuple[str, ...], digest: str) -> Path:
    folder = Path(tempfile.mkdtemp(dir=_SCRATCH.name))
    _gcc([*flags, "-c", "-o", str(folder / f"{source.stem}.o"), str(source)])
    return folder / f"{source.stem}.o"


def _gcc(arguments: list[str]) -> None:
    done = subprocess.run(["gcc", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"gcc refuses the C:\n{done.stderr[-4000:]}"


def firmware(model: bytes, samples, device="cortex-m4-an386") -> list[list[np.ndarray]]:
    """Build firmware for an emulated board, run all samples on it, and give the outputs back."""
    board = load_device(device)
    program = program_of(model, variant_of(board.cpu.features))
    folder = Path(tempfile.mkdtemp(dir=_SCRATCH.name))
    write_model(program, folder)
    sources = [folder / "edgewright_model.c", *(SOURCES / name for name in _sources(program))]
    built = link(sources, [folder, INCLUDE], board, folder, cache=Path(_SCRATCH.name))
    with emulate(built, board, icount=False) as session:
        results = [session.run([np.ascontiguousarray(values).tobytes() for values in sample]) for sample in samples]
    return _split(program, b"".join(output for result in results for output in result.outputs), len(samples))


def difference(wanted, got) -> str:
    """What differs, in words; "" when nothing does."""
    for number, (one, two) in enumerate(zip(wanted, got, strict=True)):
        for place, (given, ours) in enumerate(zip(one, two, strict=True)):
            a, b = np.asarray(given), np.asarray(ours).reshape(np.shape(given))
            if not np.array_equal(a, b):
                where = np.argwhere(a != b)
                first = tuple(int(i) for i in where[0])
                return (
                    f"sample {number}, output {place}: {len(where)} of {a.size} values differ, the first at {first}: "
                    f"the reference has {a[first]}, we have {b[first]}"
                )
    return ""


def check(
    model: bytes, count=64, samples=None, variants=("portable", "dsp"), sanitize=False, devices=(), seed=0
) -> None:
    """Assert that we compute what the reference computes, bit for bit."""
    samples = samples or random_samples(model, count, seed)
    wanted = reference(model, samples)
    for variant in variants:
        problem = difference(wanted, host(model, samples, variant, sanitize))
        assert not problem, f"{variant} on the host: {problem}"
    for device in devices:
        problem = difference(wanted, firmware(model, samples, device))
        assert not problem, f"{device}: {problem}"


def shared_model(name: str) -> Mapping[str, Any]:
    """One of the MLPerf Tiny models; skips loudly where they are not there."""
    import pytest

    path = SHARED_MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"{path} is not there: the MLPerf Tiny models are not part of the project")
    return path.read_bytes()
