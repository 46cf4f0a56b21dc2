"""What the accelerator can do: one function per constraint, in ``forms.py`` and ``limits.py``.

The docstring's first sentence is what a user reads when an operator stays on the host because of it. A function
returns what was seen where the constraint is not met, else an empty string.
"""

from __future__ import annotations

from collections.abc import Callable

from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.partition import forms, limits
from targets.tvm_fpga.partition.composite import Composite

Constraint = Callable[[Composite, Geometry], str]
#: In the order in which they are asked: later ones may rely on earlier ones.
CONSTRAINTS: tuple[Constraint, ...] = (
    forms.batch_of_one,
    forms.eight_bits,
    forms.constant_weights,
    forms.per_tensor,
    forms.symmetric_weights,
    forms.scales_per_output,
    forms.bias_per_output,
    forms.layout,
    forms.spatial_mean,
    forms.same_shapes,
    forms.joined_channels,
    forms.flattened,
    forms.factors,
    forms.whole_windows,
    limits.kernel_size,
    limits.steps,
    limits.image_size,
    limits.channels,
    limits.left_padding,
    limits.sums,
    limits.weights_fit,
    limits.activations_fit,
)


def obstacle(op: Composite, geometry: Geometry) -> str:
    """The first constraint that is not met, in words, with what was seen; empty where all are."""
    for constraint in CONSTRAINTS:
        if seen := constraint(op, geometry):
            return f"{sentence(constraint)} (seen: {seen})"
    return ""


def sentence(constraint: Constraint) -> str:
    """What a constraint says, without the full stop."""
    return (constraint.__doc__ or "").strip().splitlines()[0].rstrip(".")
