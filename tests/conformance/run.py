"""The matrix: cells by case, target and precision, each computed once."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from conformance.boards import board_of
from conformance.expected import load_expected
from conformance.matrix import Cell, judge
from conformance.subjects import Subjects

from profiles.device import Device


@contextlib.contextmanager
def compile_here() -> Iterator[None]:
    """Let compilers run in this process meanwhile: starting one for every cell takes longer than compiling.

    What the process of its own is for, crashes of the compiler, has tests in ``tests/targets/tensorrt`` and
    ``tests/targets/tvm_cpu``.
    """
    from targets.tensorrt.compiler import compile_worker as tensorrt
    from targets.tvm_cpu import compile_worker as tvm_cpu

    with contextlib.ExitStack() as stack:
        for worker in (tensorrt, tvm_cpu):
            stack.callback(setattr, worker, "_ask", worker._ask)
            actions = {"compile": worker.do_compile, "ask": worker.do_ask}
            worker._ask = functools.partial(_answer, actions)
        yield


def _answer(actions: Mapping[str, Any], request: Mapping[str, Any], limit: object) -> Any:
    """What the worker would have sent back."""
    return json.loads(json.dumps(actions[request["action"]](request, lambda event: None)))


class Matrix:
    """Cells, computed when they are first asked for.

    Attributes:
        subjects: the exported cases.
        cells: those that were computed.
    """

    def __init__(self, root: Path, device: Device) -> None:
        self._root, self._device, self._expected = root, device, load_expected()
        self.subjects = Subjects(root)
        self.cells: dict[tuple[str, str, str], Cell] = {}

    def cell(self, case: str, target: str, precision: str) -> Cell:
        """One cell."""
        key = (case, target, precision)
        if key not in self.cells:
            limits = self._expected.limits(case, target)
            folder = self._root / case / f"{target}-{precision}"
            self.cells[key] = judge(Cell(*key), self.subjects.get(case), board_of(target, self._device), folder, limits)
        return self.cells[key]
