"""Runs TVM in a process of its own: ``python -m targets.tvm_cpu.compile_worker REQUEST``.

A model from elsewhere may crash a compiler; then this process ends, and the build gets an error. What is compiled
leaves the process as files: ``kernels.o``, ``constants.bin`` and the plan.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import EdgewrightError, UnsupportedError
from targets import execute
from targets.artifact import sha256
from targets.execute import Event
from targets.files import write_bytes
from targets.tvm_cpu.machine import Machine
from targets.tvm_cpu.memory import ALIGNMENT, place
from targets.tvm_cpu.program import Program
from targets.tvm_import import tvm_package
from targets.worker import Say
from targets.worker import main as worker_main

OBJECT, CONSTANTS = "kernels.o", "constants.bin"
#: Seconds, beside those for tuning.
LIMIT = 600.0


def compile_apart(model: Path, machine: Machine, work: Path, tuning_seconds: float) -> tuple[Program, dict[str, Any]]:
    """Compile a model's kernels into ``work``.

    Args:
        model: an ONNX file.
        machine: what to compile for.
        work: takes :data:`OBJECT` and :data:`CONSTANTS`.
        tuning_seconds: for measuring tiles on this machine; 0 for none.

    Returns:
        The program, with every value in its place, and what tuning found, as plain data.

    Raises:
        UnsupportedError: TVM cannot import or compile the model.
        ToolCrashError: it died, or did not end.
    """
    request = {
        "action": "compile", "model": str(model), "work": str(work), "target": dict(machine.target),
        "lanes": machine.lanes, "sums": machine.sums, "tuning_seconds": tuning_seconds,
    }  # fmt: skip
    event = _ask(request, LIMIT + tuning_seconds)
    return Program.from_dict(event["program"]), dict(event["tuning"])


def ask_apart(model: Path) -> tuple[frozenset[str], str]:
    """The operators that TVM's importer knows, and why it refuses this model; empty when it does not."""
    known, problem = _asked(model, sha256(model))
    return known, problem


@functools.lru_cache(maxsize=64)
def _asked(model: Path, digest: str) -> tuple[frozenset[str], str]:
    event = _ask({"action": "ask", "model": str(model)}, LIMIT)
    return frozenset(event["known"]), str(event["problem"])


def _ask(request: Mapping[str, Any], limit: float) -> Event:
    explain = functools.partial(execute.crash, "TVM, while compiling the model,")
    late = UnsupportedError(
        "TVM was compiling the model", seen=f"it had not finished after {limit:g} s, and was stopped"
    )
    argv = execute.python_argv(__name__, json.dumps(request))
    return execute.converse(argv, env=execute.ONE_THREAD, explain=explain, timeout=limit, late=late)


def do_compile(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """In the child: import, fuse, tune, lay out, compile."""
    from targets.tvm_cpu.kernels import write_object
    from targets.tvm_cpu.read import pack_constants
    from targets.tvm_cpu.relaxed import kernels, lower, read_model
    from targets.tvm_cpu.schedule import Registers
    from targets.tvm_cpu.tune import schedule_all

    work, target = Path(request["work"]), _target(request["target"])
    module, program, arrays = lower(read_model(Path(request["model"])), target)
    program, constants = pack_constants(program, arrays, ALIGNMENT)
    registers = Registers(int(request["lanes"]), int(request["sums"]))
    functions, tuning = schedule_all(kernels(module), program, target, registers, float(request["tuning_seconds"]))
    write_object(functions, target, work / OBJECT)
    write_bytes(work / CONSTANTS, constants)
    return {"program": place(program).as_dict(), "tuning": tuning}


def _target(attributes: Mapping[str, Any]) -> Any:
    tvm = tvm_package("compiling for CPUs with TVM", "tvm-cpu")
    return tvm.target.Target(dict(attributes))


def do_ask(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """In the child: import and fuse, and compile nothing."""
    from targets.tvm_cpu.relaxed import known_operators, lower, read_model

    target, problem = _target({"kind": "llvm"}), ""
    try:
        lower(read_model(Path(request["model"])), target)
    except EdgewrightError as error:
        problem = str(error)
    return {"known": sorted(known_operators()), "problem": problem}


if __name__ == "__main__":
    sys.exit(worker_main(actions={"compile": do_compile, "ask": do_ask}))
