"""Partition and compile together: what turns out not to fit with its neighbours goes back to the host."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from profiles.errors import UnsupportedError
from targets.quiet import in_our_words
from targets.tvm_fpga.compiler.compile import Program, check_region, compile_region
from targets.tvm_fpga.compiler.ir import Region
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.partition.partition import Partitioned, partition
from targets.tvm_fpga.partition.regions import PlacedRegion

Made = TypeVar("Made")


def partition_and_compile(module: Any, geometry: Geometry) -> tuple[Partitioned, dict[str, Program]]:
    """A network in two parts, and the program of each region by symbol.

    Whether one operator fits is known before; whether a region does, only its compilation tells. The operator that the
    compiler names stays on the host then (all of the region, if it names none), and everything is done again.

    Raises:
        ToolCrashError: TVM failed.
    """
    return _settled(module, geometry, compile_region)


def partition_and_check(module: Any, geometry: Geometry) -> Partitioned:
    """The same parts, without programs."""
    return _settled(module, geometry, check_region)[0]


def _settled(
    module: Any, geometry: Geometry, make: Callable[[Region, Geometry], Made]
) -> tuple[Partitioned, dict[str, Made]]:
    refused: dict[str, str] = {}
    done: dict[str, Made] = {}
    while True:
        with in_our_words("TVM must part the model into regions"):
            parted = partition(module, geometry, refused)
        found = _first_failure(parted, geometry, make, done)
        if found is None:
            return parted, {each.symbol: done[each.symbol] for each in parted.regions}
        refused |= _blamed(*found)


def _first_failure(
    parted: Partitioned, geometry: Geometry, make: Callable[[Region, Geometry], Made], done: dict[str, Made]
) -> tuple[PlacedRegion, UnsupportedError] | None:
    """Make of every region what has not been made; symbols tell them apart by what they compute."""
    for each in parted.regions:
        if each.symbol not in done:
            try:
                done[each.symbol] = make(each.region, geometry)
            except UnsupportedError as error:
                return each, error
    return None


def _blamed(region: PlacedRegion, error: UnsupportedError) -> dict[str, str]:
    """Names of operators to the reason why they stay on the host."""
    reason = f"{error.wanted} (seen: {error.seen})" if error.seen else error.wanted
    quoted = {name.partition("/")[0] for name in re.findall(r"'([^']+)'", error.wanted)}
    quoted |= set(re.findall(r"'([^']+)'", error.wanted))
    named = [each for each in region.composites if each.name in quoted]
    return {name: reason for each in named or region.composites for _, name in each.origins}
