"""The 2:4 pattern: of every four neighbouring weights along the input channels, at least two are zero.

Tensor cores from SM 8.0 on skip the zeros of such weights (Mishra et al. 2021, section 3). TensorRT looks for the
pattern in the weights as they are; it never prunes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from profiles.errors import ModelError
from targets.onnx_layers import Weighted, weighted_layers
from targets.sparsity import has_pattern

#: Of so many neighbours along the input channels ...
GROUP = 4
#: ... at most so many are not zero.
KEPT = 2


@dataclasses.dataclass(frozen=True)
class SparseRow:
    """What one layer's weights look like.

    Attributes:
        name: of the layer.
        is_sparse: whether sparse kernels may be chosen for it.
        zeros: share of its weights that are zero, 0 to 1.
        why: why it is not sparse; empty when it is.
    """

    name: str
    is_sparse: bool
    zeros: float
    why: str = ""


def two_four(model: Any) -> list[SparseRow]:
    """One row per convolution or matrix product with constant weights, in graph order; int8 weights count too."""
    return [_row(layer) for layer in weighted_layers(model)]


def sparse_notes(model: Any) -> dict[str, str]:
    """What the manifest says when sparse kernels are asked for.

    Raises:
        ModelError: no layer has the pattern, so that the flag would do nothing.
    """
    rows = two_four(model)
    sparse = [row for row in rows if row.is_sparse]
    if not sparse:
        densest = max((row.zeros for row in rows), default=0.0)
        raise ModelError(
            "wanted sparse weights: in some layer, two zeros in every four weights along the input channels",
            seen=f"no such layer among {len(rows)}; the emptiest has {densest:.0%} zeros",
            allowed="at least one layer with the 2:4 pattern",
            next_step="prune the model to 2:4 first, or set parameters.sparse_weights = false under overrides",
        )
    dense = [row.name for row in rows if not row.is_sparse]
    words = f"{len(sparse)} of {len(rows)} layers have the 2:4 pattern"
    return {"sparse weights": words + (f"; dense: {', '.join(dense)}" if dense else "")}


def _row(layer: Weighted) -> SparseRow:
    zeros = float(np.mean(np.asarray(layer.weights == 0)))
    if layer.inputs % GROUP:
        return SparseRow(layer.name, False, zeros, f"{layer.inputs} input channels are no multiple of {GROUP}")
    if has_pattern(layer.weights, layer.input_axis, KEPT, GROUP):
        return SparseRow(layer.name, True, zeros)
    return SparseRow(layer.name, False, zeros, "some four neighbours have fewer than two zeros")
