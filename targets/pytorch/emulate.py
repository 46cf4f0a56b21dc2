"""Computes the outputs of a GPU's baseline on the processor. Its time says nothing about the GPU, so it has none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.runner import Counters
from targets.base import Compiled
from targets.pytorch.place import CPU
from targets.pytorch.runner import PyTorchRunner


class Emulator(PyTorchRunner):
    """The same program, eager, on the processor."""

    timed = False

    def counters(self) -> Counters:
        """Who computed."""
        return Counters(facts={**self._facts(), "mode": "eager, on the processor in place of the GPU"})


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Emulator:
    """The emulator of one bundle."""
    return Emulator(folder, compiled, CPU)
