"""For those who stay on TensorFlow Lite for Microcontrollers (TFLM): the model as C++, its operators, its arena."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import UnsupportedError
from targets.files import write_bytes
from targets.tflite_file import read_bytes
from targets.tflite_micro.emit.source import template
from targets.tflite_micro.graph.ir import Op
from targets.tflite_micro.graph.read import Model, parse_graph
from targets.tflite_micro.tflm_arena import TflmArena, find_arena

#: Builtin operators that TFLM registers (tensorflow/lite/micro/micro_mutable_op_resolver.h).
_BUILTINS = """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS
    BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE
    DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD
    FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU
    LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM
    MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN
    RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE
    SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE
    SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
""".split()  # noqa: SIM905
#: Methods that are not called after the operator.
_IRREGULAR = {
    "BATCH_MATMUL": "AddBatchMatMul", "CUMSUM": "AddCumSum", "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}  # fmt: skip
#: Custom operators by the code that a file has for them.
_CUSTOM = {
    "CIRCULAR_BUFFER": "AddCircularBuffer", "TFLite_Detection_PostProcess": "AddDetectionPostprocess",
    "TFLM_DECODE": "AddDecode", "ethos-u": "AddEthosU",
    **{
        f"Signal{name}": f"Add{name}"
        for name in (
            "Delay", "Energy", "FftAutoScale", "FilterBank", "FilterBankLog", "FilterBankSpectralSubtraction",
            "FilterBankSquareRoot", "Framer", "Irfft", "OverlapAdd", "PCAN", "Rfft", "Stacker", "Window",
        )
    },
}  # fmt: skip


def write_kit(tflite: Path, out: Path, name: str) -> Mapping[str, Any]:
    """Write ``NAME_model.cc``, ``NAME_model.h`` and ``NAME_ops.h`` below ``out``.

    Args:
        tflite: the model.
        out: folder; it is made.
        name: becomes part of symbols and file names; characters that C has not are replaced.

    Returns:
        ``files`` (names), ``operators`` (kinds), ``resource_variables``, ``arena`` (a mapping of
        :class:`~targets.tflite_micro.tflm_arena.TflmArena`).

    Raises:
        ConfigError, ModelError: no such file, or no proper TFLite file.
        UnsupportedError: TFLM lacks an operator, or does not run the model.
        MissingToolError: the package ``tflite-micro`` is not installed.
        OutputError: the folder cannot be written.
    """
    data = read_bytes(tflite)
    model = parse_graph(data, tflite.stem)
    kinds = tuple(sorted({op.kind for op in _operators(model)}))
    kit = _Kit(name, data, tuple(add_method(kind) for kind in kinds), count_resources(model), find_arena(tflite))
    written = []
    for source in ("tflm_model.cc.j2", "tflm_model.h.j2", "tflm_ops.h.j2"):
        written.append(f"{kit.symbol}_{source.removeprefix('tflm_').removesuffix('.j2')}")
        write_bytes(out / written[-1], template(source).render(kit=kit).encode())
    arena = dataclasses.asdict(kit.arena)
    return {"files": written, "operators": kinds, "resource_variables": kit.resources, "arena": arena}


def add_method(kind: str) -> str:
    """The method of ``MicroMutableOpResolver`` that registers an operator.

    Raises:
        UnsupportedError: TFLM has no such operator.
    """
    if kind in _CUSTOM:
        return _CUSTOM[kind]
    if kind not in _BUILTINS:
        raise UnsupportedError(
            "wanted the TFLM kernel of every operator", seen=kind, allowed=", ".join([*_BUILTINS, *_CUSTOM]),
            next_step="export the model without it",
        )  # fmt: skip
    words = kind.split("_")
    return _IRREGULAR.get(kind, "Add" + "".join(word if word == "2D" else word.capitalize() for word in words))


def count_resources(model: Model) -> int:
    """How many resource variables the interpreter has to make."""
    handles = [op for op in _operators(model) if op.kind == "VAR_HANDLE"]
    return len({(op.options.get("container") or "", op.options.get("shared_name") or "") for op in handles})


def _operators(model: Model) -> list[Op]:
    return [op for graph in (model.main, *model.others) for op in graph.ops]


@dataclasses.dataclass(frozen=True)
class _Kit:
    """What the templates ask for."""

    name: str
    data: bytes = dataclasses.field(repr=False)
    methods: tuple[str, ...]
    resources: int
    arena: TflmArena

    @property
    def symbol(self) -> str:
        """The name as part of a C identifier."""
        plain = re.sub(r"[^A-Za-z0-9]+", "_", self.name).strip("_")
        return plain if re.match("[A-Za-z]", plain) else f"m{plain}"

    @property
    def guard(self) -> str:
        """The beginning of include guards."""
        return f"EDGEWRIGHT_{self.symbol.upper()}"

    @property
    def title(self) -> str:
        """The name as it may stand in a comment."""
        return self.symbol

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.data)

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def lines(self) -> list[str]:
        """Lines of the initialiser."""
        rows = (self.data[start : start + 16] for start in range(0, len(self.data), 16))
        return [" ".join(f"0x{byte:02x}," for byte in row) for row in rows]
