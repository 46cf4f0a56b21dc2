"""Functions that TVM made of merged composites, as regions of layers, with what the host must know to call them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from profiles.errors import UnsupportedError
from targets.tvm_fpga.compiler.ir import Layer, Region, Tensor
from targets.tvm_fpga.host.ports import HostPort, HostRegion
from targets.tvm_fpga.partition.composite import Composite, Operand, describe
from targets.tvm_fpga.partition.extract import layers_of, tensor_of
from targets.tvm_fpga.partition.relax_tools import bindings, dtype_of, lookup_in, returned, shape_of


@dataclasses.dataclass(frozen=True)
class PlacedRegion:
    """One region.

    Attributes:
        host: the name under which the host calls it, which contains a digest of what it computes; what it is given.
        region: its layers.
        composites: what they came from.
    """

    host: HostRegion
    region: Region
    composites: tuple[Composite, ...]

    @property
    def symbol(self) -> str:
        """The name under which the host calls it."""
        return self.host.symbol


@dataclasses.dataclass
class _Walk:
    """Tensors by variable, and what was found on the way."""

    tensors: dict[Any, Tensor]
    layers: list[Layer] = dataclasses.field(default_factory=list)
    composites: list[Composite] = dataclasses.field(default_factory=list)
    names: set[str] = dataclasses.field(default_factory=set)

    def fresh(self, name: str) -> str:
        """A name that no tensor has yet."""
        number, free = 2, name
        while free in self.names:
            number, free = number + 1, f"{name}_{number}"
        self.names.add(free)
        return free


def place_region(number: int, function: Any) -> PlacedRegion:
    """Follow the calls of a region's function.

    Raises:
        UnsupportedError: a form that no composite has.
    """
    walk = _Walk({})
    local = {var: value for var, value in bindings(function) if hasattr(value, "params")}
    first_uses = _first_uses(function, local)
    for at, param in enumerate(function.params):
        if param not in first_uses:
            raise UnsupportedError("a region's input", seen=f"'{param.name_hint}', which nothing reads")
        walk.tensors[param] = tensor_of(walk.fresh(f"input{at}"), shape_of(param), first_uses[param].quant)
    for var, value in bindings(function):
        if var not in local and getattr(value, "op", None) in local:
            _call(walk, var, value, local[value.op])
    results = [_result(walk, var, function) for var in returned(function)]
    region = Region(tuple(walk.layers), _tensors(walk, function.params), _tensors(walk, results))
    inputs, outputs = _ports(walk, function.params), _ports(walk, results)
    symbol = f"ew_region_{number}_{digest(region)}"
    return PlacedRegion(HostRegion(symbol, inputs, outputs), region, tuple(walk.composites))


def _first_uses(function: Any, local: Mapping[Any, Any]) -> dict[Any, Operand]:
    """How each of the function's parameters is quantized, from the first composite that reads it."""
    found: dict[Any, Operand] = {}
    for _, value in bindings(function):
        if getattr(value, "op", None) in local:
            composite = composite_of(local[value.op])
            given = dict(zip(local[value.op].params, value.args, strict=True))
            for operand in composite.operands:
                found.setdefault(given[operand.source], operand)
    return found


def composite_of(function: Any) -> Composite:
    """What one composite function computes.

    Raises:
        UnsupportedError: a form that no composite has.
    """
    find = lookup_in(function)
    found = describe(find(returned(function)[0]), find) if len(returned(function)) == 1 else None
    if found is None:
        raise UnsupportedError("a composite", seen=str(function.attrs), allowed="one operator between integers")
    return found


def _call(walk: _Walk, var: Any, call: Any, function: Any) -> None:
    composite = composite_of(function)
    given = dict(zip(function.params, call.args, strict=True))
    sources = [walk.tensors[given[operand.source]] for operand in composite.operands]
    name = walk.fresh(composite.name or composite.kind)
    out = tensor_of(name, composite.out_shape, composite.out)
    walk.tensors[var] = out
    walk.layers += layers_of(composite, sources, out)
    walk.composites.append(composite)


def _result(walk: _Walk, var: Any, function: Any) -> Any:
    while var not in walk.tensors:
        var = lookup_in_one(function, var)
    return var


def lookup_in_one(function: Any, var: Any) -> Any:
    """One step: what a variable is bound to."""
    for name, value in bindings(function):
        if name.same_as(var):
            return value
    raise UnsupportedError("a region's output", seen=str(var), allowed="a tensor that it computes")


def _tensors(walk: _Walk, variables: Sequence[Any]) -> tuple[Tensor, ...]:
    return tuple(dict.fromkeys(walk.tensors[var] for var in variables))


def _ports(walk: _Walk, variables: Sequence[Any]) -> tuple[HostPort, ...]:
    return tuple(HostPort(walk.tensors[var].name, shape_of(var), dtype_of(var)) for var in variables)


def digest(region: Region) -> str:
    """Twelve hexadecimal digits that differ for regions that compute something else."""
    found = hashlib.sha256()
    for layer in region.layers:
        plain = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer)}
        for name, value in plain.items():
            found.update(f"{name}={value.shape if isinstance(value, np.ndarray) else value};".encode())
            if isinstance(value, np.ndarray):
                found.update(np.ascontiguousarray(value, np.int64).tobytes())
    found.update(f"{region.sources};{region.outs}".encode())
    return found.hexdigest()[:12]
