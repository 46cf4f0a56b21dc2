"""Which operator runs where, why, and what crosses the border: known before anything is compiled."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from targets.tvm_fpga.host.ports import HostPort
from targets.tvm_fpga.partition.composite import STORAGE
from targets.tvm_fpga.partition.patterns import CORES
from targets.tvm_fpga.partition.regions import PlacedRegion
from targets.tvm_fpga.partition.relax_tools import bindings, constant, lookup_in, op_name, origin, shape_of

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum")
_BY_CONSTANTS = ("relax.nn.conv2d", "relax.matmul", "relax.multiply")
NEEDED_IN_FLOAT = "its result is not quantized: no QuantizeLinear stands behind it, or others read it in float too"


@dataclasses.dataclass(frozen=True)
class Placement:
    """One operator of the model.

    Attributes:
        name, op: as the model file has them.
        region: symbol of the region that runs it; empty on the host.
        reason: why it stays on the host.
        macs: multiply-accumulates, where they can be counted.
    """

    name: str
    op: str
    region: str = ""
    reason: str = ""
    macs: int = 0

    @property
    def accelerated(self) -> bool:
        """Whether the accelerator runs it."""
        return bool(self.region)


@dataclasses.dataclass(frozen=True)
class Crossing:
    """Bytes that one region takes from the host and gives back, for one inference."""

    region: str
    taken: int
    given: int


@dataclasses.dataclass(frozen=True)
class Split:
    """All operators in the order of the model, and all crossings."""

    operators: tuple[Placement, ...]
    crossings: tuple[Crossing, ...]

    @property
    def macs(self) -> tuple[int, int]:
        """On the accelerator, on the host."""
        counted = [sum(each.macs for each in self.operators if each.accelerated is there) for there in (True, False)]
        return counted[0], counted[1]

    @property
    def host_layers(self) -> int:
        """Operators with weights, or products of two tensors, that the host computes in float."""
        return sum(each.op in _LAYERS for each in self.operators if not each.accelerated)

    @property
    def bytes(self) -> int:
        """Over the border, both ways."""
        return sum(crossing.taken + crossing.given for crossing in self.crossings)


def split_of(original: Any, regions: Sequence[PlacedRegion], refusals: Mapping[str, str]) -> Split:
    """The placement of every named operator of a normalised function.

    Args:
        original: the function before it was partitioned.
        regions: what became of it.
        refusals: operators' names to the constraint that they did not meet.
    """
    where = {name: region.symbol for region in regions for each in region.composites for _, name in each.origins}
    find, users = lookup_in(original), _users(original)
    found: dict[str, Placement] = {}
    for var, value in bindings(original):
        named = origin(value)
        if named is None or named[0] in STORAGE:
            continue
        kind, name = named
        region = where.get(name, "")
        reason = "" if region else refusals.get(name) or explain(value, find, users.get(var, []))
        found[name] = Placement(name, kind, region, reason, macs_of(value, find))
    crossings = [Crossing(each.symbol, _bytes(each.host.inputs), _bytes(each.host.outputs)) for each in regions]
    return Split(tuple(found.values()), tuple(crossings))


def _bytes(ports: Sequence[HostPort]) -> int:
    return sum(port.bytes for port in ports)


def _users(function: Any) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for _, value in bindings(function):
        for argument in getattr(value, "args", ()):
            for each in getattr(argument, "fields", None) or (argument,):
                if hasattr(each, "name_hint") or type(each).__name__.endswith("Var"):
                    found.setdefault(each, []).append(value)
    return found


def explain(call: Any, find: Any, users: Sequence[Any]) -> str:
    """Why no pattern matches, in words."""
    main = _core(call, find)
    if op_name(main) not in CORES:
        return "the accelerator has no such operator"
    given = [find(each) for argument in main.args for each in (getattr(argument, "fields", None) or (argument,))]
    computed = [each for each in given if hasattr(each, "ty") and constant(each) is None and hasattr(each.ty, "ndim")]
    if any(op_name(each) != "relax.dequantize" for each in computed):
        return "an input is not quantized: no DequantizeLinear stands before it"
    if sum(constant(each.args[0]) is None for each in computed) > 1 and op_name(main) in _BY_CONSTANTS:
        return "both inputs are computed, and one must be constant"
    if not users or any(op_name(user) != "relax.quantize" for user in users):
        return NEEDED_IN_FLOAT
    return "no pattern of the accelerator has this form"


def _core(call: Any, find: Any) -> Any:
    """The first of the calls that an operator of the model became: those before the last one have no names."""
    before: Any = find(call.args[0]) if len(getattr(call, "args", ())) else None
    while op_name(before) not in ("", "relax.dequantize") and origin(before) is None:
        call, before = before, find(before.args[0])
    return call


def macs_of(call: Any, find: Any) -> int:
    """Of a convolution or a product of matrices; 0 for all others."""
    main = _core(call, find)
    if op_name(main) == "relax.nn.conv2d":
        weights = shape_of(main.args[1])
        return int(np.prod(shape_of(main)) * np.prod(weights[1:]))
    if op_name(main) == "relax.matmul":
        return int(np.prod(shape_of(main)) * shape_of(main.args[0])[-1])
    return 0
