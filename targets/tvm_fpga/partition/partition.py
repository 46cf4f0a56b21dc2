"""The steps from a module to regions for the accelerator, a module for the host, and the split between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.partition.checks import obstacle
from targets.tvm_fpga.partition.composite import describe
from targets.tvm_fpga.partition.normalize import normalize
from targets.tvm_fpga.partition.patterns import BACKEND, patterns
from targets.tvm_fpga.partition.regions import PlacedRegion, place_region
from targets.tvm_fpga.partition.relax_tools import bindings
from targets.tvm_fpga.partition.split import NEEDED_IN_FLOAT, Split, split_of


@dataclasses.dataclass(frozen=True)
class Partitioned:
    """A network in two parts.

    Attributes:
        module: for the host; it calls regions by their symbols once TVM's ``RunCodegen`` has run.
        regions: for the accelerator, in the order of the module's functions.
        split: where every operator runs.
    """

    module: Any
    regions: tuple[PlacedRegion, ...]
    split: Split


def partition(module: Any, geometry: Geometry, refused: Mapping[str, str] = MappingProxyType({})) -> Partitioned:
    """Give the accelerator what it can run.

    Args:
        module: of :func:`targets.tvm_fpga.partition.load.load_module`; it is not changed.
        geometry: whose memories limit what one operator may need.
        refused: names of operators that stay on the host, to the reason.
    """
    from tvm import ir, relax

    plain = normalize(module)
    judge = _Judge(geometry, refused)
    passes = [
        relax.transform.FuseOpsByPattern(patterns(judge), bind_constants=True, annotate_codegen=False),
        relax.transform.MergeCompositeFunctions(),
    ]
    merged = ir.transform.Sequential(passes)(plain)
    regions: list[PlacedRegion] = []
    for name, function in _marked(merged):
        placed = place_region(len(regions), function)
        merged.update_func(merged.get_global_var(name), function.with_attr("global_symbol", placed.symbol))
        regions.append(placed)
    return Partitioned(merged, tuple(regions), split_of(plain["main"], regions, judge.refusals))


def _marked(module: Any) -> list[tuple[str, Any]]:
    """The functions that are meant for the accelerator, in the order of their calls."""
    called = [getattr(getattr(value, "op", None), "name_hint", "") for _, value in bindings(module["main"])]
    functions = {where.name_hint: function for where, function in module.functions_items()}
    names = [name for name in dict.fromkeys(called) if name in functions]
    return [(name, functions[name]) for name in names if _is_ours(functions[name])]


def _is_ours(function: Any) -> bool:
    attrs = function.attrs
    return attrs is not None and "Codegen" in attrs and str(attrs["Codegen"]) == BACKEND


def _escapes(context: Any, root: Any, known: Mapping[Any, Any]) -> bool:
    """Whether something else reads a value between the operator's input and its result: it would leave as a float."""
    inside = set(known)
    inner = [var for var, value in known.items() if not value.same_as(root)]
    return any(user not in inside for var in inner for user in context.var_usages.get(var, ()))


class _Judge:
    """Asked by TVM about each match; remembers refusals by the names of the operators."""

    def __init__(self, geometry: Geometry, refused: Mapping[str, str]) -> None:
        self.geometry = geometry
        self.refusals = dict(refused)
        self.refused = refused

    def __call__(self, context: Any) -> bool:
        known = dict(context.matched_bindings.items())

        def find(expression: Any) -> Any:
            while expression in known:
                expression = known[expression]
            return expression

        root = find(context.matched_expr)
        found = describe(root, find)
        if found is None:
            return False
        names = [name for _, name in found.origins]
        if before := next((self.refused[name] for name in names if name in self.refused), ""):
            self.refusals.update(dict.fromkeys(names, before))
            return False
        reason = NEEDED_IN_FLOAT if _escapes(context, root, known) else obstacle(found, self.geometry)
        if reason:
            self.refusals.update(dict.fromkeys(names, reason))
        return not reason
