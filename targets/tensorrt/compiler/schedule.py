"""What TensorRT-RTX planned for a model: its kernels, the number formats between them, and the memory they need.

Read from the text inside of a serialized engine (``schedule_text.py``), so no GPU is needed. One engine for several
compute capabilities has one schedule, which holds for all of them.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from targets.tensorrt.compiler.schedule_text import Item, ScheduleTextError, group, groups, parse, texts, value, words

SCHEMA = 1
#: The compiler's names of number formats: our name, and bits.
DTYPES: Mapping[str, tuple[str, int]] = {
    "float": ("fp32", 32), "half": ("fp16", 16), "bf16": ("bf16", 16), "fp8_e4m3": ("fp8", 8), "fp4_e2m1": ("fp4", 4),
    "int8": ("int8", 8), "int4": ("int4", 4), "uint8": ("uint8", 8), "bool": ("bool", 8),
    "int32": ("int32", 32), "int64": ("int64", 64),
}  # fmt: skip
#: The compiler's entries and our names for them. ``function`` is a kernel that the compiler wrote itself: element by
#: element, reductions, and moving data.
KINDS: Mapping[str, str] = {
    "corrltn": "convolution", "deconvolution": "deconvolution", "fully_connected": "matmul",
    "avgpool": "pooling", "maxpool": "pooling", "resize": "resize",
    "function": "generated", "runtime_function": "generated", "runtime_fusion": "generated",
    "memset": "memory", "copy": "memory",
}  # fmt: skip
#: Kernels that multiply and add.
COMPUTE = ("convolution", "deconvolution", "matmul", "attention")
#: ONNX operators that convert or move numbers and compute nothing.
CONVERSIONS = frozenset({
    "QuantizeLinear", "DequantizeLinear", "Cast", "CastLike", "Identity",
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose",
})  # fmt: skip
#: ONNX operators that multiply and add.
PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "LSTM", "GRU", "RNN", "Attention"})
_NOT_LAUNCHED = ("signal", "wait", "jmp", "cjmp", "label")
_BACKBONES = {"gemm": "matmul", "conv": "convolution"}
_LAYER = re.compile(r"\[ONNX Layer: (.*?)(?: \| .* \(\w*\))?\]\Z", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What a kernel reads or writes.

    Attributes:
        name: the compiler's.
        dtype: ``fp32``, ``fp16``, ``int8``...; the compiler's own word where it is none of ours.
        dims: its shape.
        bytes: dense, without the padding of the layout; 0 where type or shape is not told.
        constant: a weight, or another number that the engine holds.
    """

    name: str
    dtype: str
    dims: tuple[int, ...]
    bytes: int
    constant: bool = False


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One launch.

    Attributes:
        name: the compiler's.
        kind: of :data:`KINDS`, ``attention``, or ``other``.
        nodes: the ONNX nodes that were fused into it, as far as the compiler tells; none for its own reformats.
        inputs, outputs: without scratch space; numbers that are passed with the launch are not listed.
        ops: the operators of ``nodes``, in their order, empty for unknown ones; none where no ONNX file was at hand.
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ops: tuple[str, ...] = ()

    @property
    def precision(self) -> str:
        """The number format that it computes in: of what it multiplies, else the widest that it reads or writes."""
        moving = [tensor for tensor in self.inputs if not tensor.constant]
        if self.kind in COMPUTE and (moving or self.inputs):
            return (moving or list(self.inputs))[0].dtype
        matrices = [tensor for tensor in self.inputs if tensor.constant and len(tensor.dims) > 1]
        if matrices and not PRODUCTS.isdisjoint(self.ops):
            return max(matrices, key=lambda tensor: tensor.bytes).dtype
        bits = dict(DTYPES.values())
        return max((tensor.dtype for tensor in (*moving, *self.outputs)), key=lambda t: bits.get(t, 0), default="")

    @property
    def bytes_moved(self) -> int:
        """Of every input and output once."""
        return sum({tensor.name: tensor.bytes for tensor in (*self.inputs, *self.outputs)}.values())


@dataclasses.dataclass(frozen=True)
class Schedule:
    """All kernels of one inference.

    Attributes:
        kernels: in the order in which they are launched; of branches, all.
        device_memory: bytes for activations and scratch space, without weights.
        weights: bytes of the constants in device memory.
        capabilities: compute capabilities that it holds for, such as ``("8.6",)``.
        reason: why nothing could be read.
        library: name and version of what planned it.
    """

    kernels: tuple[Kernel, ...] = ()
    device_memory: int = 0
    weights: int = 0
    capabilities: tuple[str, ...] = ()
    reason: str = ""
    library: str = ""

    @property
    def bytes_moved(self) -> int:
        """Of all kernels together: what would go through memory if no cache kept anything from one to the next."""
        return sum(kernel.bytes_moved for kernel in self.kernels)

    def own_nodes(self, kernel: Kernel) -> dict[str, str]:
        """Its nodes, with their operators, but those whose product another kernel computes.

        A kernel behind an int8 convolution names that convolution, whose scale and bias it applies.
        """
        pairs = itertools.zip_longest(kernel.nodes, kernel.ops, fillvalue="")
        return {node: op for node, op in pairs if kernel.kind in COMPUTE or node not in self._multiplied}

    @functools.cached_property
    def _multiplied(self) -> frozenset[str]:
        return frozenset(node for kernel in self.kernels if kernel.kind in COMPUTE for node in kernel.nodes)

    @property
    def conversions(self) -> tuple[Kernel, ...]:
        """Kernels that only change number format, shape or layout, or apply the scale and bias of the layer before."""
        return tuple(
            kernel
            for kernel in self.kernels
            if kernel.kind == "memory"
            or (kernel.kind == "generated" and CONVERSIONS.issuperset(self.own_nodes(kernel).values()))
        )

    @property
    def requantizations(self) -> tuple[Kernel, ...]:
        """Kernels that round to 8 bits because the layer before them writes float."""
        return tuple(
            kernel
            for kernel in self.kernels
            if kernel.kind == "generated" and any(tensor.dtype in ("int8", "fp8") for tensor in kernel.outputs)
        )

    def executed(self) -> dict[str, int]:
        """Number of kernels that multiply and add, by number format; products that the compiler wrote itself, too."""
        counted = [
            kernel
            for kernel in self.kernels
            if kernel.kind in COMPUTE or not PRODUCTS.isdisjoint(self.own_nodes(kernel).values())
        ]
        formats = [kernel.precision for kernel in counted]
        return {name: formats.count(name) for name in dict.fromkeys(formats)}

    def with_ops(self, ops: Mapping[str, str], library: str = "") -> Schedule:
        """The same, with the operator of every node, and with the name of what planned it."""
        kernels = tuple(
            dataclasses.replace(kernel, ops=tuple(ops.get(node, "") for node in kernel.nodes))
            for kernel in self.kernels
        )
        return dataclasses.replace(self, kernels=kernels, library=library or self.library)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``schedule.json``."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schedule:
        """The inverse of :meth:`as_dict`, also after a journey through JSON."""
        values = {key: data[key] for key in ("device_memory", "weights", "reason", "library")}
        return cls(
            kernels=tuple(_kernel_from(kernel) for kernel in data["kernels"]),
            capabilities=tuple(data["capabilities"]),
            **values,
        )


def _kernel_from(data: Mapping[str, Any]) -> Kernel:
    tensors = {
        side: tuple(Tensor(**{**tensor, "dims": tuple(tensor["dims"])}) for tensor in data[side])
        for side in ("inputs", "outputs")
    }
    return Kernel(data["name"], data["kind"], tuple(data["nodes"]), **tensors, ops=tuple(data["ops"]))


def read_schedule(engine: bytes) -> Schedule:
    """What is planned in an engine. Never raises for what the bytes are: an empty schedule says why it is empty.

    Args:
        engine: serialized, of TensorRT-RTX, built with ``ProfilingVerbosity.DETAILED``.
    """
    try:
        blocks = [parse(text) for text in texts(engine)]
        plans = [block for block in blocks if words(group(block, "header"), "accelerators") not in ([], ["*"])]
        if not plans:
            return Schedule(reason="the engine tells nothing of its schedule; only TensorRT-RTX's engines do")
        schedule = _joined([_read(block) for block in plans])
        return schedule if schedule.kernels else Schedule(reason="the engine's schedule names no kernel")
    except ScheduleTextError as error:
        return Schedule(reason=f"the engine's schedule cannot be read: {error}")


def _joined(parts: list[Schedule]) -> Schedule:
    """Several graphs of one engine, one after the other, each with memory of its own."""
    return Schedule(
        tuple(kernel for part in parts for kernel in part.kernels),
        sum(part.device_memory for part in parts),
        sum(part.weights for part in parts),
        parts[0].capabilities,
    )


def _read(block: list[Item]) -> Schedule:
    header = group(block, "header")
    regions = [region for _, region in groups(header, "region") if value(region, "place") == "accelerator"]
    memory = sum(_number(value(region, "size")) for region in regions if value(region, "constant") != "true")
    on_device = {value(region, "name") for region in regions if value(region, "constant") == "true"}
    known, weights = _tensors(group(block, "descriptors"), on_device)
    entries = [(kind, entry) for kind, entry in groups(group(block, "main")) if kind not in _NOT_LAUNCHED]
    kernels = tuple(_kernel(kind, entry, known) for kind, entry in entries)
    return Schedule(kernels, memory, weights, tuple(_capability(name) for name in words(header, "accelerators")))


def _capability(name: str) -> str:
    """``sm86`` as ``8.6``."""
    found = re.fullmatch(r"sm(\d+)(\d)", name)
    return f"{found[1]}.{found[2]}" if found else name


def _number(word: str) -> int:
    return int(word) if word.isdecimal() and len(word) < 20 else 0


def _tensors(descriptors: list[Item], on_device: set[str]) -> tuple[dict[str, Tensor | None], int]:
    """Tensors by name, None for those that are no traffic (scratch space, launch arguments); and bytes of weights."""
    known: dict[str, Tensor | None] = {}
    payload: dict[tuple[str, str], int] = {}
    for _, entry in groups(descriptors, "tensor", "sub_tensor"):
        name, region = value(entry, "name"), value(entry, "region")
        size = _number(value(entry, "const_payload_size"))
        constant = size > 0 or region in on_device
        if constant and region in on_device:
            place = (region, value(entry, "offset"))
            payload[place] = max(size, payload.get(place, 0))
        skipped = value(entry, "is_scratchspace") == "1" or (constant and region not in on_device)
        known[name] = None if skipped else _tensor(name, entry, constant)
    return known, sum(payload.values())


def _tensor(name: str, entry: list[Item], constant: bool) -> Tensor:
    told = value(entry, "type")
    dtype, bits = DTYPES.get(told, (told, 0))
    sizes = words(entry, "dims")
    dims = tuple(_number(size) for size in sizes[:16])
    return Tensor(name, dtype, dims, math.ceil(math.prod(dims) * bits / 8) if sizes else 0, constant)


def _kernel(entry_kind: str, entry: list[Item], known: Mapping[str, Tensor | None]) -> Kernel:
    name = value(entry, "name")
    kind = KINDS.get(entry_kind, "other")
    if kind == "generated":
        kind = _BACKBONES.get(value(entry, "backbone"), "attention" if "_mha" in name else kind)
    nodes = (_LAYER.match(part) for part in value(entry, "layers").split("\x1f"))
    return Kernel(
        name,
        kind,
        tuple(dict.fromkeys(node[1] for node in nodes if node)),
        _listed(words(entry, "input", "input_args"), known),
        _listed(words(entry, "output", "output_args"), known),
    )


def _listed(names: Iterable[str], known: Mapping[str, Tensor | None]) -> tuple[Tensor, ...]:
    found = (known.get(name, Tensor(name, "", (), 0)) for name in dict.fromkeys(names))
    return tuple(tensor for tensor in found if tensor is not None)
