"""The model as C: fills the templates of ``kernels/cortex_m/templates``."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Arg, Const, In, Out, Value
from targets.tflite_micro.emit.rows import StageView, stages_of
from targets.tflite_micro.graph.ir import Tensor
from targets.tflite_micro.kernels import TEMPLATES
from targets.tflite_micro.program import Layer, Program, constant_key

_C_TYPES = {
    "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t",
    "uint32": "uint32_t", "int64": "int64_t", "float32": "float", "bool": "uint8_t",
}  # fmt: skip


def write_model(program: Program, out: Path, facts: dict[str, Any] | None = None) -> list[Path]:
    """Write ``edgewright_model.h`` and ``edgewright_model.c`` below ``out``; the same program gives the same bytes."""
    view = _View(program)
    written = []
    for name in ("edgewright_model.h", "edgewright_model.c"):
        path = out / name
        path.write_text(template(name + ".j2").render(model=view, facts=facts or {}), encoding="utf-8")
        written.append(path)
    return written


@functools.cache
def template(name: str) -> Any:
    """A template of ``kernels/cortex_m/templates``; a name that it uses and nobody gives is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["array"] = _array
    return environment.get_template(name)


class _View:
    """What the templates ask for, in C's words."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = program.graph
        self._names = {constant_key(constant): f"c{i}" for i, constant in enumerate(program.constants)}
        self.layers = [_LayerView(self, layer) for layer in program.layers]

    @property
    def headers(self) -> list[str]:
        """Of the kernels that are called, sorted."""
        return sorted({Path(source).stem + ".h" for call in self.program.calls for source in call.sources[:1]})

    @property
    def constants(self) -> list[dict[str, Any]]:
        """Arrays in flash."""
        names = self._names
        own = [self._constant(c.values, names[constant_key(c)], c.role.value, c.align) for c in self.program.constants]
        tensors = [self._constant(t.data, f"t{t.index}", "weights", 4) for t in self.program.constant_tensors]
        return [*own, *tensors]

    @staticmethod
    def _constant(values: Array | None, name: str, role: str, align: int) -> dict[str, Any]:
        assert values is not None
        return {
            "name": name, "type": _C_TYPES[values.dtype.name], "size": values.size, "role": role, "align": align,
            "values": values.reshape(-1),
        }  # fmt: skip

    @property
    def variables(self) -> list[dict[str, Any]]:
        """Variables with what ``init`` writes into them."""
        return [self._variable(tensor) for tensor in self.program.variables]

    def _variable(self, tensor: Tensor) -> dict[str, Any]:
        values = np.zeros(tensor.bytes, np.uint8) if tensor.data is None else tensor.data
        raw = np.frombuffer(values.tobytes(), np.uint8)
        fill = int(raw[0]) if np.all(raw == raw[0]) else None
        return {"offset": self.program.offsets[tensor.index], "bytes": tensor.bytes, "fill": fill, "raw": raw}

    def io(self, keys: tuple[int, ...]) -> list[dict[str, Any]]:
        """Inputs or outputs: offset, bytes, shape and quantization in words."""
        return [self._io(self.graph.tensor(key)) for key in keys]

    def _io(self, tensor: Tensor) -> dict[str, Any]:
        sign = "+" if tensor.quantization and tensor.zero_point < 0 else "-"
        scale = f", real = {tensor.scale!r} * (q {sign} {abs(tensor.zero_point)})" if tensor.quantization else ""
        shape = " x ".join(str(size) for size in tensor.shape)
        words = f"{tensor.dtype} {shape}{scale}"
        return {"offset": self.program.offsets[tensor.index], "bytes": tensor.bytes, "words": words}

    def argument(self, arg: Arg, scratch: int) -> str:
        """One argument of a kernel call."""
        if not isinstance(arg, (In, Out)):
            return f"(void *)(a + {scratch})"
        if self.graph.tensor(arg.tensor).constant:
            return f"t{arg.tensor}"
        qualifier = "const void *" if isinstance(arg, In) else "void *"
        return f"({qualifier})(a + {self.program.offsets[arg.tensor]})"

    def members(self, params: Mapping[str, Value]) -> list[tuple[str, str]]:
        """A params struct: names of members and their initialisers."""
        return [(name, self.value(value)) for name, value in params.items()]

    def value(self, value: Value) -> str:
        """One member of a params struct."""
        if isinstance(value, Const):
            return self._names[constant_key(value)]
        if isinstance(value, (tuple, list)):
            return "{" + ", ".join(str(int(item)) for item in value) + "}"
        if value is None:
            return "NULL"
        if isinstance(value, (float, np.floating)):
            return float(value).hex() + "f"
        return _integer(int(value))


class _LayerView:
    """One layer in C's words."""

    def __init__(self, view: _View, layer: Layer) -> None:
        self._view, self.layer = view, layer
        self.op, self.name = layer.op, _comment(layer.name)
        self.group = layer.group
        self.function = layer.calls[0].function

    @property
    def params(self) -> list[tuple[str, str]]:
        """Members of the params struct of a single call."""
        return self._view.members(self.layer.calls[0].params)

    @property
    def arguments(self) -> list[str]:
        """Of a single call."""
        return [self._view.argument(arg, self.layer.scratch) for arg in self.layer.calls[0].args]

    @property
    def stages(self) -> list[StageView]:
        """Of a group."""
        return stages_of(self._view.program, self.layer)

    @property
    def out(self) -> str:
        """Where row r of a group's output goes."""
        assert self.group is not None
        return f"a + {self._view.program.offsets[self.group.output]} + r * {self.group.stages[-1].row_bytes}"


def _comment(text: str) -> str:
    """Text that is safe inside a C comment."""
    return text.replace("*/", "* /").replace("\n", " ").encode("ascii", "replace").decode()


def _integer(value: int) -> str:
    """A C integer literal; the smallest int has no literal of its own."""
    return "(-2147483647 - 1)" if value == -(1 << 31) else str(value)


def _array(values: Array, width: int = 100) -> Iterator[str]:
    """Lines of an initialiser."""
    floats = np.issubdtype(values.dtype, np.floating)
    words = [float(v).hex() + "f" for v in values] if floats else [_integer(v) for v in values.tolist()]
    line = ""
    for word in words:
        if len(line) + len(word) > width:
            yield line
            line = ""
        line += word + ", "
    if line:
        yield line
