"""Runs a ``.pt2`` program with PyTorch, operator by operator. Travels to the device."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

from profiles.measurement import Metric
from profiles.runner import Array, Arrays, Counters
from targets.base import Compiled
from targets.pytorch.compiled import NAME, compiled_latency
from targets.pytorch.layers import executed, profile_layers
from targets.pytorch.on_cuda import cuda_facts, cuda_metrics
from targets.pytorch.place import CPU, CUDA, place_of, require
from targets.pytorch.program import load_program


class PyTorchRunner:
    """One program, eager, in inference mode."""

    timed = True

    def __init__(self, folder: Path, compiled: Compiled, place: str) -> None:
        self._path, self._compiled, self._place = folder / compiled.files[0], compiled, place
        self._threads = int(compiled.options.get("threads", 1))
        self._settings = contextlib.ExitStack()
        self._module: Any = None
        self._last: Arrays = {}

    def __enter__(self) -> PyTorchRunner:
        with contextlib.ExitStack() as settings:
            settings.enter_context(_threads(self._threads))
            settings.enter_context(_exact())
            self._module = load_program(self._path, require(self._place))
            settings.enter_context(torch.inference_mode())
            self._settings = settings.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._module = None
        self._settings.close()

    def _tensors(self, inputs: Arrays) -> list[Any]:
        arrays = [np.array(inputs[spec.name]) for spec in self._compiled.inputs]
        return [torch.from_numpy(values).to(self._place) for values in arrays]

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference."""
        outputs = self._module.forward(*self._tensors(inputs))
        names = [spec.name for spec in self._compiled.outputs]
        return {name: np.array(value.cpu().numpy()) for name, value in zip(names, outputs, strict=True)}

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """One inference on tensors that are in place; on CUDA it ends when the GPU is done."""
        self._last = inputs
        tensors, forward, finish = self._tensors(inputs), self._module.forward, torch.cuda.synchronize
        if self._place == CPU:
            return lambda: forward(*tensors)
        return lambda: (forward(*tensors), finish())

    def counters(self) -> Counters:
        """Time and precision per operator, and what else this place can tell, on the inputs last bound."""
        if not self._last:
            return Counters(facts=self._facts())
        tensors = self._tensors(self._last)
        call = self.bind(self._last)
        call()
        start = time.perf_counter()
        call()
        layers = profile_layers(self._module, tensors, self._place, time.perf_counter() - start)
        return Counters(self._metrics(tensors), layers, executed(layers), self._facts())

    def _metrics(self, tensors: list[Any]) -> dict[str, Metric]:
        found: dict[str, Metric] = {}
        if self._place == CUDA:
            arrays = [np.array(self._last[spec.name]) for spec in self._compiled.inputs]
            found |= cuda_metrics(self._module, tensors, arrays)
        if self._compiled.options.get("compile"):
            finish = torch.cuda.synchronize if self._place == CUDA else _nothing
            found[NAME] = compiled_latency(self._module, tensors, finish, dtype=_arithmetic(self._module))
        return found

    def _facts(self) -> dict[str, str]:
        facts = {"engine": f"torch {torch.__version__}", "mode": "eager", "threads": str(self._threads)}
        return facts | (dict(cuda_facts()) if self._place == CUDA else {})


def _nothing() -> None:
    """A processor is done when the call returns."""


def _arithmetic(module: Any) -> Any:
    """The narrowest number format among the weights."""
    kinds = {value.dtype for value in module.state_dict().values() if value.is_floating_point()}
    return min(kinds, key=lambda kind: kind.itemsize, default=torch.float32)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _exact() -> Iterator[None]:
    """No TF32 in place of fp32, which cuDNN would take by itself."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> PyTorchRunner:
    """The runner for one bundle."""
    return PyTorchRunner(folder, compiled, place_of(device))
