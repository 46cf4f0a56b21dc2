"""Run the host's module: TVM's virtual machine, with regions run by whatever is given as the executor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import DataError, ModelError
from profiles.runner import Array
from targets.tvm_fpga.host.ports import HostRegion
from targets.tvm_import import tvm_package

#: Runs the region of a symbol: tensors by name, int8, rows x columns x channels, to the region's outputs by name.
Executor = Callable[[str, Mapping[str, Array]], Mapping[str, Array]]


class HostModule:
    """A network ready to run.

    TVM finds regions by name in a table of the whole process. The functions in it are registered once per name, and ask
    the module that is running at the time, so that several modules, and the same twice, live side by side.
    """

    def __init__(self, library: Path, regions: Sequence[HostRegion], executor: Executor) -> None:
        tvm_package("running the host's part", "tvm-fpga")
        tvm_package("running the host's part", "tvm-fpga")
        from tvm import cpu, relax, runtime

        for region in regions:  # the machine looks for them when it is made
            _register(region.symbol)
        try:
            self._machine = relax.VirtualMachine(runtime.load_module(str(library)), cpu())
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"wanted to load {library.name}", seen=str(error).splitlines()[0]) from error
        self._regions = {region.symbol: region for region in regions}
        self._executor = executor
        self._failure: Exception | None = None

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The network's outputs; inputs in the order and form of the model file.

        Raises:
            EdgewrightError: what the executor raised.
        """
        from tvm import runtime

        given = [runtime.tensor(np.ascontiguousarray(value)) for value in inputs]
        self._failure = None
        with _LOCK:
            _RUNNING.append(self)
            try:
                made = self._machine["main"](*given)
            except Exception as error:
                raise (self._failure or error) from None
            finally:
                _RUNNING.pop()
        return [each.numpy() for each in ([made] if hasattr(made, "numpy") else made)]

    def call(self, symbol: str, tensors: Sequence[Any]) -> None:
        """What TVM calls: inputs, then outputs to fill."""
        try:
            self._call(self._regions[symbol], [np.from_dlpack(each) for each in tensors], tensors)
        except Exception as error:  # on its way through TVM it would lose its type
            self._failure = error
            raise

    def _call(self, region: HostRegion, values: Sequence[Array], tensors: Sequence[Any]) -> None:
        given = {port.name: port.to_region(value) for port, value in zip(region.inputs, values, strict=False)}
        made = self._executor(region.symbol, given)
        for port, tensor in zip(region.outputs, tensors[len(region.inputs) :], strict=True):
            if port.name not in made:
                raise DataError(f"the output '{port.name}' of {region.symbol}", seen=", ".join(made) or "nothing")
            tensor.copyfrom(port.from_region(made[port.name]))


_LOCK = threading.RLock()
_RUNNING: list[HostModule] = []
_REGISTERED: set[str] = set()


def _register(symbol: str) -> None:
    if symbol in _REGISTERED:
        return
    import tvm_ffi

    def call(*tensors: Any) -> None:
        _RUNNING[-1].call(symbol, tensors)

    tvm_ffi.register_global_func(symbol, call, override=True)
    _REGISTERED.add(symbol)
