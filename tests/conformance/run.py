"""The matrix: cells by case, target and precision, each computed once."""

from __future__ import annotations

from pathlib import Path

from conformance.boards import board_of
from conformance.expected import load_expected
from conformance.matrix import Cell, judge
from conformance.subjects import Subjects

from profiles.device import Device


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
