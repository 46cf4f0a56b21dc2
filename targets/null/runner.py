"""Runs nothing: outputs are a fixed function of the inputs, so that golden checks mean something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from profiles.runner import Array, Arrays, Counters
from targets.base import Compiled, TensorSpec


def null_outputs(inputs: Arrays, outputs: tuple[TensorSpec, ...]) -> dict[str, Array]:
    """Every element of every output is the mean of all inputs, plus its own index divided by 1000."""
    mean = float(np.mean([float(np.mean(values.astype(np.float64))) for values in inputs.values()]))
    results = {}
    for spec in outputs:
        ramp = np.arange(int(np.prod(spec.shape)), dtype=np.float32).reshape(spec.shape)
        results[spec.name] = (ramp / 1000 + np.float32(mean)).astype(spec.dtype)
    return results


class NullRunner:
    """The runner of the null target."""

    timed = True

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled

    def __enter__(self) -> NullRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """The fixed function."""
        return null_outputs(inputs, self._compiled.outputs)

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """The fixed function on these inputs."""
        return lambda: null_outputs(inputs, self._compiled.outputs)

    def counters(self) -> Counters:
        """Nothing but the word that nothing ran."""
        return Counters(facts={"engine": "null: outputs are not the model's"})


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> NullRunner:
    """The runner; ``folder`` and ``device`` are not used."""
    return NullRunner(compiled)
