"""Between a model's canonical tensors and what one engine takes: layout, then quantization.

Canonical arrays hold real values in the source's layout; an artifact may want the channel axis last,
and int8 with scale and zero point (Jacob et al. 2018, equation 1).
"""

from __future__ import annotations

import numpy as np

from profiles.errors import DataError
from profiles.runner import Array, Arrays
from targets.base import TensorSpec


def permutation(source: str, wanted: str) -> tuple[int, ...] | None:
    """Axes that bring layout ``source`` into ``wanted``; None when nothing moves."""
    if not source or not wanted or source == wanted or sorted(source) != sorted(wanted):
        return None
    return tuple(source.index(axis) for axis in wanted)


def to_native(values: Array, canonical: TensorSpec, native: TensorSpec) -> Array:
    """One tensor from canonical to the engine's layout and dtype; rounds half to even and saturates.

    Raises:
        DataError: NaN where the engine takes integers, or values without a scale that its integers cannot hold.
    """
    axes = permutation(canonical.layout, native.layout)
    moved = values.transpose(axes) if axes else values
    wanted = np.dtype(native.dtype)
    if native.scale and np.issubdtype(moved.dtype, np.floating):
        moved = _quantize(moved, native)
    elif np.issubdtype(wanted, np.integer) and not np.can_cast(moved.dtype, wanted):
        _check_holds(moved, native)
    return np.asarray(moved, dtype=wanted, order="C")


def _quantize(values: Array, native: TensorSpec) -> Array:
    if np.isnan(values).any():
        raise DataError(f"input '{native.name}' is quantized and needs numbers", seen="NaN")
    limits = np.iinfo(native.dtype)
    with np.errstate(over="ignore"):  # infinity saturates like everything that is too large
        steps = np.rint(values / np.float32(native.scale or 1.0)).astype(np.float64)
    return np.clip(steps + (native.zero_point or 0), limits.min, limits.max)


def _check_holds(values: Array, native: TensorSpec) -> None:
    limits = np.iinfo(native.dtype)
    held = (values >= limits.min) & (values <= limits.max) & (values == np.rint(values))
    if not held.all():
        raise DataError(
            f"input '{native.name}' is {native.dtype}",
            seen=f"the value {values[~held].flat[0]}",
            allowed=f"whole numbers from {limits.min} to {limits.max}",
        )


def to_canonical(values: Array, native: TensorSpec, canonical: TensorSpec) -> Array:
    """The inverse of :func:`to_native`, with real values in float32."""
    if native.scale:
        values = (values.astype(np.float32) - np.float32(native.zero_point or 0)) * np.float32(native.scale)
    axes = permutation(native.layout, canonical.layout)
    dtype = np.float32 if np.issubdtype(values.dtype, np.floating) else values.dtype
    return np.asarray(values.transpose(axes) if axes else values, dtype=dtype, order="C")


def inputs_to_native(
    inputs: Arrays, canonical: tuple[TensorSpec, ...], native: tuple[TensorSpec, ...]
) -> dict[str, Array]:
    """All inputs, matched by position; keys become the engine's names."""
    pairs = zip(canonical, native, strict=True)
    return {inner.name: to_native(inputs[outer.name], outer, inner) for outer, inner in pairs}


def outputs_to_canonical(
    outputs: Arrays, native: tuple[TensorSpec, ...], canonical: tuple[TensorSpec, ...]
) -> dict[str, Array]:
    """All outputs, matched by position; keys become the canonical names."""
    pairs = zip(native, canonical, strict=True)
    return {outer.name: to_canonical(outputs[inner.name], inner, outer) for inner, outer in pairs}
