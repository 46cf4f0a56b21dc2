"""How much arena TFLM needs, found with its Python interpreter in a process of its own.

``python -m targets.tflite_micro.tflm_arena REQUEST`` is that process: the interpreter ends the program on some
models it does not take, and says what it is missing on standard error only.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import MissingToolError, ToolCrashError, UnsupportedError
from targets import execute
from targets.worker import main as worker_main

#: An arena in which any model for a microcontroller runs, in bytes.
_PLENTY = 1 << 28
#: Bytes of TFLM's structs on this 64-bit host, and on a 32-bit core with the compiler's default enums, by their
#: name in the interpreter's record (members: tensorflow/lite/c/common.h and micro/micro_allocator.h).
_STRUCTS = {
    "TfLiteEvalTensor data": (24, 12),
    "Persistent TfLiteTensor data": (64, 32),
    "Persistent TfLiteTensor quantization data": (32, 20),
    "NodeAndRegistration struct": (64, 32),
}
_ENTRY = re.compile(r"'([^']+)' used (\d+) bytes")


@dataclasses.dataclass(frozen=True)
class TflmArena:
    """Bytes of arena.

    Attributes:
        host: the smallest that runs on this host, where pointers have 8 bytes, with TFLM's reference kernels.
        target: for a 32-bit core, estimated: the records of ``host`` at the size their structs have there, what
            kernels allocate for themselves at host size. Kernels with scratch of their own (CMSIS-NN) need more.
        head: of it, activations and scratch.
        record: bytes by purpose, as the interpreter counts them.
        version: of the ``tflite-micro`` package.
    """

    host: int
    target: int
    head: int
    record: Mapping[str, int]
    version: str


def find_arena(tflite: Path, timeout: float = 600.0) -> TflmArena:
    """The smallest arena in which TFLM runs a model; ``timeout`` in seconds for each attempt.

    What a run with plenty of arena has used is tried first. Where setting up takes more for a while (LSTM), the
    smallest that works is found by doubling and bisection. Each attempt is a process: TFLM ends the program when some
    of its memory (resource variables, an LSTM's tensors) does not fit.

    Raises:
        MissingToolError: the package ``tflite-micro`` is not installed.
        UnsupportedError: TFLM does not run the model.
        ToolCrashError: the interpreter dies on it, whatever the arena.
    """
    plenty = _attempt(tflite, _PLENTY, timeout)
    if not plenty["works"]:
        raise UnsupportedError(
            "wanted TFLM to run the model", seen=_reason(plenty["words"]),
            allowed="what its micro_mutable_op_resolver.h registers",
        )  # fmt: skip
    size = _smallest(_figure("total", plenty["words"]), lambda size: _fits(tflite, size, timeout))
    words = _attempt(tflite, size, timeout)["words"]
    record = {name: int(size) for name, size in _ENTRY.findall(words)}
    return TflmArena(size, estimate_target(size, record), _figure("head", words), record, plenty["version"])


def estimate_target(host: int, record: Mapping[str, int]) -> int:
    """An arena on a 32-bit core from that of the host."""
    saved = sum(record.get(name, 0) // wide * (wide - narrow) for name, (wide, narrow) in _STRUCTS.items())
    return host - saved


def _attempt(tflite: Path, size: int, timeout: float) -> execute.Event:
    request = json.dumps({"action": "arena", "path": str(tflite), "size": size})
    argv = execute.python_argv("targets.tflite_micro.tflm_arena", request)
    return execute.converse(
        argv, timeout=timeout, explain=lambda status, words: execute.crash("the TFLM interpreter", status, words)
    )


def _fits(tflite: Path, size: int, timeout: float) -> bool:
    try:
        return bool(_attempt(tflite, size, timeout)["works"])
    except ToolCrashError:
        return False


def _smallest(used: int, fits: Callable[[int], bool]) -> int:
    """The smallest size that fits; it is at least ``used``."""
    low, high = used - 1, used
    while not fits(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def do_arena(request: Mapping[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Run once in an arena of the size asked for: whether it works, and what the interpreter says."""
    try:
        from tflite_micro import runtime
    except ImportError as error:
        raise MissingToolError(
            "wanted to find the arena with TFLM's interpreter",
            seen=f"the package 'tflite-micro' is missing: {error}",
            next_step="run: pip install tflite-micro",
        ) from error

    def run() -> None:
        interpreter = runtime.Interpreter.from_bytes(Path(request["path"]).read_bytes(), arena_size=request["size"])
        _invoke(interpreter)
        interpreter.print_allocations()

    works, words = _says(run)
    return {"works": works, "words": words, "version": version("tflite_micro")}


def _figure(name: str, words: str) -> int:
    """A figure of the interpreter's record."""
    found = re.search(rf"Arena allocation {name} (\d+) bytes", words)
    if found is None:
        raise ToolCrashError("wanted TFLM's record of its arena", seen=words[-200:] or "nothing")
    return int(found[1])


def _reason(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return " | ".join(lines[:3]) or "no reason given"


def _says(action: Callable[[], object]) -> tuple[bool, str]:
    """Whether an action ends without an error, and what C++ prints on standard error meanwhile."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            action()
            works = True
        except RuntimeError:
            works = False
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        return works, file.read().decode(errors="replace")


def _invoke(interpreter: Any) -> None:
    """One inference on zeros."""
    place = 0
    while True:
        try:
            details = interpreter.get_input_details(place)
        except IndexError:
            break
        interpreter.set_input(np.zeros(details["shape"], details["dtype"]), place)
        place += 1
    interpreter.invoke()


if __name__ == "__main__":
    sys.exit(worker_main(actions={"arena": do_arena}))
