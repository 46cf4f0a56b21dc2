"""Between a model's canonical tensors and what one engine takes: layout, then quantization.

Canonical arrays hold real values in the source's layout; an artifact may want the channel axis last,
and int8 with scale and zero point (Jacob et al. 2018, equation 1).
"""

from __future__ import annotations

import numpy as np

from profiles.runner import Array, Arrays
from targets.base import TensorSpec


def permutation(source: str, wanted: str) -> tuple[int, ...] | None:
    """Axes that bring layout ``source`` into ``wanted``; None when nothing moves."""
    if not source or not wanted or source == wanted or sorted(source) != sorted(wanted):
        return None
    return tuple(source.index(axis) for axis in wanted)


def to_native(values: Array, canonical: TensorSpec, native: TensorSpec) -> Array:
    """One tensor from canonical to the engine's layout and dtype; rounds half to even and saturates."""
    axes = permutation(canonical.layout, native.layout)
    moved = values.transpose(axes) if axes else values
    if native.scale and np.issubdtype(moved.dtype, np.floating):
        limits = np.iinfo(native.dtype)
        steps = np.rint(moved / np.float32(native.scale)) + (native.zero_point or 0)
        moved = np.clip(steps, limits.min, limits.max)
    return np.ascontiguousarray(moved, dtype=np.dtype(native.dtype))


def to_canonical(values: Array, native: TensorSpec, canonical: TensorSpec) -> Array:
    """The inverse of :func:`to_native`, with real values in float32."""
    if native.scale:
        values = (values.astype(np.float32) - np.float32(native.zero_point or 0)) * np.float32(native.scale)
    axes = permutation(native.layout, canonical.layout)
    return np.ascontiguousarray(values.transpose(axes) if axes else values)


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
