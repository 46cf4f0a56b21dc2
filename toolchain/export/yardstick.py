"""The torch module in float64: what exports are compared with."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from profiles.errors import ModelError
from profiles.runner import Arrays

if TYPE_CHECKING:
    import torch


def reference_outputs(module: torch.nn.Module, samples: Sequence[Arrays]) -> tuple[list[dict[str, Any]], str]:
    """Outputs of the module in float64, and how it was run.

    A module that cannot run in float64, because it makes float32 tensors of its own, runs in float32,
    and the description says so.

    Raises:
        ModelError: an output is not finite, or the module fails in either precision.
    """
    from toolchain.export.modules import run_module

    try:
        double = copy.deepcopy(module).double()
        with _default_float64():
            outputs = [run_module(double, _as_float64(sample)) for sample in samples]
        description = "torch, float64"
    except (ModelError, RuntimeError, TypeError) as error:
        outputs = [run_module(module, sample) for sample in samples]
        first = (error.seen if isinstance(error, ModelError) else str(error)).partition("\n")[0]
        description = f"torch, float32, because the module does not run in float64 ({first})"
    for name, values in ((name, values) for output in outputs for name, values in output.items()):
        if not np.isfinite(values.astype(np.float64)).all():
            raise ModelError(
                f"wanted finite values in the model's output '{name}'",
                seen="NaN or infinity from the torch module itself",
                next_step="check the weights, and the normalisation of the inputs",
            )
    return outputs, description


@contextlib.contextmanager
def _default_float64() -> Iterator[None]:
    """Let tensors that ``forward`` makes be float64 too."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _as_float64(sample: Arrays) -> Mapping[str, Any]:
    floats = {name: np.issubdtype(values.dtype, np.floating) for name, values in sample.items()}
    return {name: values.astype(np.float64) if floats[name] else values for name, values in sample.items()}
