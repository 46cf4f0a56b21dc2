"""What the library's engine inspector tells of the layers of an engine. Travels to the device.

Layers are those of the engine, after fusion. The JSON is that of TensorRT 10 (``Format/Datatype``), or of TensorRT 11
and TensorRT-RTX (``Format`` and ``Datatype``; NVIDIA, "Migrating IEngineInspector Usage from TensorRT 10.x to 11.x").
How much it holds depends on the profiling verbosity with which the engine was built.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from targets.tensorrt.gpu.session import Session

#: Number formats in the inspector's words, searched in this order.
_FORMATS = (
    (r"bf16|bfloat16", "bf16"),
    (r"fp16|\bhalf", "fp16"),
    (r"fp8|e4m3", "fp8"),
    (r"fp4|e2m1", "fp4"),
    (r"fp32|\bfloat", "fp32"),
    (r"int8", "int8"),
    (r"int4", "int4"),
    (r"int32", "int32"),
    (r"int64", "int64"),
    (r"bool", "bool"),
)
#: Layers that hold a network's arithmetic, in the words of both compilers (Cask's and Myelin's).
_COMPUTE = re.compile(r"conv(?!ert)|gemm|matrix_?mult|matmul|fully_?connected|correlation|corrltn|attention|mha", re.I)


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of an engine.

    Attributes:
        name: as the profiler calls it too.
        op: its kind.
        precision: of its first input, the activation; empty where the inspector does not tell.
        nodes: names of the ONNX nodes that were fused into it.
    """

    name: str
    op: str = ""
    precision: str = ""
    nodes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """For people: names that the compiler made up (``__myl_MulReluMul_myl0_3``) give way to those of the nodes."""
        if not self.nodes or not self.name.startswith("__"):
            return self.name
        return " + ".join(self.nodes[:3]) + (f" + {len(self.nodes) - 3} more" if len(self.nodes) > 3 else "")

    @property
    def computes(self) -> bool:
        """Whether it holds arithmetic of the network, and does not only move or convert."""
        return bool(_COMPUTE.search(self.op))


def inspect(session: Session) -> list[Layer]:
    """The layers of the engine, in order of execution; empty where the inspector gives none."""
    inspector = session.engine.create_engine_inspector()
    if session.context is not None:
        inspector.execution_context = session.context
    return read_layers(inspector.get_engine_information(session.library.LayerInformationFormat.JSON))


def read_layers(text: str) -> list[Layer]:
    """Layers from the inspector's JSON; bare names where it holds no more, nothing where it is no such JSON."""
    try:
        rows = json.loads(text)["Layers"]
    except (ValueError, KeyError, TypeError):
        return []
    listed = rows if isinstance(rows, list) else []
    return [Layer(row) if isinstance(row, str) else _layer(row) for row in listed if isinstance(row, (str, dict))]


def _layer(row: Mapping[str, Any]) -> Layer:
    op = str(row.get("LayerType", ""))
    if row.get("ParameterType") not in (None, "", op):
        op = f"{op} {row['ParameterType']}".strip()
    nodes = re.findall(r"\[ONNX Layer: ([^\]]*)\]", str(row.get("Metadata", "")))
    return Layer(str(row.get("Name", "")), op, _precision(row), tuple(nodes))


def _precision(row: Mapping[str, Any]) -> str:
    """Of the first input; a layer without one has the format of its first output."""
    for side in ("Inputs", "Outputs"):
        for tensor in row.get(side) or ():
            if isinstance(tensor, Mapping):
                words = " ".join(str(tensor.get(key, "")) for key in ("Datatype", "DataType", "Format/Datatype"))
                return number_format(words)
    return ""


def number_format(words: str) -> str:
    """Such as ``int8`` for ``Thirty-two wide channel vectorized row major Int8 format``; empty for no format."""
    return next((name for pattern, name in _FORMATS if re.search(pattern, words, re.I)), "")
