"""The inputs and outputs of an engine, on the host and on the GPU. Travels to the device."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from profiles.errors import UnsupportedError, VerificationError
from profiles.runner import Array, Arrays
from targets.base import Compiled
from targets.tensorrt.gpu.cuda import Driver
from targets.tensorrt.gpu.memory import Tensor
from targets.tensorrt.gpu.streams import Stream

#: Shape and ``DataType`` by name.
Ends = Mapping[str, tuple[tuple[int, ...], Any]]


def ends_of(engine: Any) -> Ends:
    """What an engine says of its inputs and outputs."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return {name: (tuple(map(int, engine.get_tensor_shape(name))), engine.get_tensor_dtype(name)) for name in names}


class Buffers:
    """A place on both sides for every input and output; leaving the stack that it was made with gives them back.

    Args:
        driver: of CUDA.
        module: ``tensorrt`` or ``tensorrt_rtx``.
        ends: see :func:`ends_of`. The engine itself is not taken: an error would keep it alive with its traceback.
        compiled: the bundle's inputs and outputs.
        stack: takes what is to be given back.

    Raises:
        VerificationError: the engine has no input or output of that name.
        UnsupportedError: a shape that is not fixed, a type that numpy lacks, or too little memory.
    """

    def __init__(
        self, driver: Driver, module: Any, ends: Ends, compiled: Compiled, stack: contextlib.ExitStack
    ) -> None:
        self._inputs, self._outputs = compiled.inputs, compiled.outputs
        self._tensors: dict[str, Tensor] = {}
        for spec in (*self._inputs, *self._outputs):
            if spec.name not in ends:
                raise VerificationError(
                    f"wanted '{spec.name}' among the engine's inputs and outputs",
                    seen=", ".join(ends),
                    next_step="build the bundle again",
                )
            shape, kind = ends[spec.name]
            tensor = Tensor(driver, spec.name, _fixed(spec.name, shape), _dtype(module, spec.name, kind))
            stack.callback(tensor.close)
            self._tensors[spec.name] = tensor

    def addresses(self) -> dict[str, int]:
        """On the GPU, by name."""
        return {name: tensor.address for name, tensor in self._tensors.items()}

    def write(self, inputs: Arrays) -> None:
        """Fill the host's side of the inputs; a batch is filled with copies of the sample."""
        for spec in self._inputs:
            place, values = self._tensors[spec.name].array, np.asarray(inputs[spec.name])
            times = place.shape[0] // values.shape[0] if place.ndim and values.ndim and values.shape[0] else 1
            repeated = np.concatenate([values] * times) if times > 1 else values
            if repeated.shape != place.shape:
                raise VerificationError(
                    f"wanted '{spec.name}' in the engine's shape",
                    seen=str(values.shape),
                    allowed=str(place.shape),
                    next_step="build the bundle again",
                )
            np.copyto(place, repeated, casting="same_kind")

    def send(self, stream: Stream) -> None:
        """Start copying the inputs to the GPU."""
        for spec in self._inputs:
            self._tensors[spec.name].send(stream.handle)

    def fetch(self, stream: Stream) -> None:
        """Start copying the outputs back."""
        for spec in self._outputs:
            self._tensors[spec.name].fetch(stream.handle)

    def read(self) -> dict[str, Array]:
        """Copies of the outputs that were fetched, in the bundle's types."""
        return {spec.name: self._tensors[spec.name].array.astype(spec.dtype) for spec in self._outputs}


def _fixed(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if any(size < 1 for size in shape):
        raise UnsupportedError(f"wanted a fixed shape of '{name}'", seen=str(shape))
    return shape


def _dtype(module: Any, name: str, kind: Any) -> np.dtype[Any]:
    """A ``DataType`` in numpy's terms, which lack bfloat16 and fp8."""
    try:
        known: np.dtype[Any] = np.dtype(module.nptype(kind))
    except TypeError as error:
        raise UnsupportedError(
            f"wanted numbers that numpy knows for '{name}'", seen=str(kind), next_step="give the model float inputs"
        ) from error
    return known
