"""Runs a bundle: the host module here, its regions in RTL simulation, cycle by cycle."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from profiles.device import Device
from profiles.runner import Array, Arrays, Counters
from targets.base import Compiled
from targets.tvm_fpga import container
from targets.tvm_fpga.compiler.compile import run_program, simulated
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.device import geometry_of, memory_of
from targets.tvm_fpga.figures import of_runs
from targets.tvm_fpga.host.module import HostModule
from targets.tvm_fpga.host.ports import HostRegion
from targets.tvm_fpga.rtl.build import simulator
from targets.tvm_fpga.rtl.simulate import Run, Simulator


class FpgaRunner:
    """The accelerator's cycles are counted by :meth:`counters`; this machine's clock says nothing about them."""

    timed = False

    def __init__(self, folder: Path, compiled: Compiled, device: Device) -> None:
        self._folder, self._compiled, self._device = folder, compiled, device
        self._stack = contextlib.ExitStack()
        self._programs: dict[str, Program] = {}
        self._runs: dict[str, Run] = {}
        self._simulator: Simulator | None = None
        self._host: HostModule | None = None

    def __enter__(self) -> FpgaRunner:
        geometry = geometry_of(self._device)
        regions = [HostRegion.from_dict(each) for each in self._compiled.options["regions"]]
        for region in regions:
            self._programs[region.symbol] = container.load(self._folder / f"{region.symbol}.ewfs", geometry)
        self._simulator = self._stack.enter_context(simulator(geometry))
        library = next(name for name in self._compiled.files if name.startswith("host-"))
        self._host = HostModule(self._folder / library, regions, self._execute)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._host = None
        self._stack.close()

    def _execute(self, symbol: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        assert self._simulator is not None
        executor = simulated(self._simulator, memory_of(self._device))
        outputs, run = run_program(self._programs[symbol], inputs, executor)
        if run is not None:
            self._runs[symbol] = run
        return outputs

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference."""
        assert self._host is not None
        made = self._host.run([inputs[spec.name] for spec in self._compiled.inputs])
        return {spec.name: value for spec, value in zip(self._compiled.outputs, made, strict=True)}

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """One inference on these inputs."""
        return lambda: self.run(inputs)

    def counters(self) -> Counters:
        """Cycles of the last inference, whole and per layer, bytes over the memory port, utilization."""
        return of_runs(self._compiled, self._device, self._programs, self._runs)


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> FpgaRunner:
    """The runner for one bundle."""
    return FpgaRunner(folder, compiled, Device.from_plain(device))
