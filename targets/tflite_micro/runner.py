"""Runs a bundle's firmware: under QEMU here, or on a board behind a serial cable."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from profiles.device import Device
from profiles.runner import Array, Arrays, Counters
from targets.base import Compiled, TensorSpec
from targets.tflite_micro.device import emulated_device
from targets.tflite_micro.emulate.session import Session, emulate

ELF, EMULATOR = "firmware.elf", "emulator.elf"


class FirmwareRunner:
    """A conversation with running firmware; what it costs is told by :meth:`counters`, not by this machine's clock."""

    timed = False

    def __init__(self, folder: Path, compiled: Compiled, device: Device, port: str) -> None:
        self._compiled, self._device, self._port = compiled, device, port
        self._emulated = emulated_device(device)
        self._elf = folder / (EMULATOR if compiled.options["emulator"] else ELF)
        self._stack = contextlib.ExitStack()
        self._session: Session | None = None
        self._bound: list[bytes] = []

    def __enter__(self) -> FirmwareRunner:
        self._session = self._stack.enter_context(self._open())
        return self

    def _open(self) -> contextlib.AbstractContextManager[Session]:
        if self._port:
            from targets.tflite_micro.emulate.serial_port import board

            return board(self._port, digest=str(self._compiled.options["digest"]))
        return emulate(self._elf, self._emulated, icount=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
        self._stack.close()

    def _raw(self, inputs: Arrays) -> list[bytes]:
        ordered = sorted(self._compiled.inputs, key=_number)
        return [np.ascontiguousarray(inputs[spec.name], spec.dtype).tobytes() for spec in ordered]

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference; a streaming model starts from its first state."""
        assert self._session is not None
        if self._compiled.options["variables"]:
            self._session.reset()
        outputs = self._session.run(self._raw(inputs)).outputs
        return {
            spec.name: np.frombuffer(outputs[_number(spec)], spec.dtype).reshape(spec.shape).copy()
            for spec in self._compiled.outputs
        }

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """One inference on these inputs; they travel again, because the arena is used again."""
        assert self._session is not None
        self._bound, session = self._raw(inputs), self._session
        return lambda: session.run(self._bound)

    def counters(self) -> Counters:
        """Instructions under QEMU, or the board's own cycles; sizes of the firmware, its arena and its stack."""
        from targets.tflite_micro import figures

        assert self._session is not None
        stack = self._session.stack()
        if self._port:
            return figures.of_board(self._compiled, self._device, self._session, self._bound, stack)
        self._stack.close()  # one emulator at a time
        return figures.of_emulator(self._compiled, (self._device, self._emulated), self._elf, self._bound, stack)


def _number(spec: TensorSpec) -> int:
    """The firmware's index of an input or output, with which its name begins."""
    return int(spec.name.partition(":")[0])


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> FirmwareRunner:
    """The runner for one bundle; ``device["port"]`` is the address of a board, or absent."""
    profile = {key: value for key, value in device.items() if key != "port"}
    return FirmwareRunner(folder, compiled, Device.from_plain(profile), str(device.get("port", "")))
