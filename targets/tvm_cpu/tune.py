"""Choose the tile of each kernel by measuring it on this machine. Runs in the compiler's own process.

Only for a machine that can run the code: a tile that is fast here says nothing of another processor.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from targets.tvm_cpu.program import Program
from targets.tvm_cpu.schedule import Registers, Tile, schedule, tiles

#: Rounds over all tiles of a kernel, of which each tile's fastest counts (others were disturbed), and seconds in each.
_ROUNDS, _SECONDS = 7, 0.004
#: A tile must be that much faster than the most promising one, or the difference may be the machine's noise.
_GAIN = 0.95


def schedule_all(
    functions: Mapping[str, Any], program: Program, target: Any, registers: Registers, seconds: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every kernel with its loops in order, and what was measured.

    The kernels that take longest come first; when the time is over, the others keep the tile that promises most.

    Args:
        functions: TIR by name.
        program: says how often each is called.
        target: TVM's target.
        registers: of the processor.
        seconds: for measuring; with 0, nothing is.
    """
    start = time.monotonic()
    done, records = {name: schedule(function, registers) for name, function in functions.items()}, {}
    candidates = {name: tiles(function, registers) for name, function in functions.items()} if seconds > 0 else {}
    waiting = [name for name, options in candidates.items() if len(options) > 1]
    for name in _longest_first(waiting, program):
        if time.monotonic() - start >= seconds:
            break
        found = _measure(functions[name], candidates[name], target, registers, start + seconds)
        best = _choose(found)
        done[name] = schedule(functions[name], registers, best)
        records[name] = [
            {"last": tile.last, "before": tile.before, "seconds": took, "chosen": tile == best}
            for tile, took in found.items()
        ]
    spent = time.monotonic() - start if seconds > 0 else 0.0
    return done, {"seconds": round(spent, 1), "allowed": seconds, "kernels": len(waiting), "measured": records}


def _choose(found: Mapping[Tile, float]) -> Tile:
    """The fastest tile where it is clearly faster than the first, which promises most without measuring."""
    first, best = next(iter(found)), min(found, key=lambda tile: found[tile])
    return best if found[best] < _GAIN * found[first] else first


def _longest_first(names: list[str], program: Program) -> list[str]:
    """By the bytes of all values of their calls, which is known without running them."""
    weight = dict.fromkeys(names, 0)
    for step in program.steps:
        if step.kernel in weight:
            weight[step.kernel] += sum(program.values[number].bytes for number in step.arguments)
    return sorted(names, key=lambda name: (-weight[name], name))


def _measure(function: Any, options: list[Tile], target: Any, registers: Registers, end: float) -> dict[Tile, float]:
    """Seconds of one call on random values, with each tile that can be compiled before the time is over."""
    import tvm

    arguments = [tvm.runtime.tensor(value) for value in _values(function)]
    timers: dict[Tile, Any] = {}
    for tile in options:
        if not timers or time.monotonic() < end:
            timers[tile] = _timer(schedule(function, registers, tile), target)
    found = dict.fromkeys(timers, float("inf"))
    for _ in range(_ROUNDS):
        for tile, timer in timers.items():
            found[tile] = min(found[tile], *timer(*arguments).results)
    return found


def _timer(function: Any, target: Any) -> Any:
    import tvm

    module = tvm.tirx.build(tvm.IRModule({"main": function.with_attr("global_symbol", "main")}), target=target)
    return module.time_evaluator("main", tvm.cpu(), number=1, repeat=1, min_repeat_ms=int(_SECONDS * 1000))


def _values(function: Any) -> list[Any]:
    from tvm.s_tir.meta_schedule.arg_info import ArgInfo

    random = np.random.default_rng(0)
    infos = ArgInfo.from_prim_func(function)
    return [random.standard_normal([int(size) for size in info.shape]).astype(str(info.dtype)) for info in infos]
