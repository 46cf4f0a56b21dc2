"""Count parameters and multiply-accumulates of a torch module."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def count(model: torch.nn.Module, inputs: Sequence[Any]) -> tuple[int, int]:
    """Parameters, and multiply-accumulates of one forward pass on ``inputs``.

    Convolutions, matrix products, attention and recurrent layers are counted, additions, activations,
    normalisation and pooling are not: the convention of the MLPerf Tiny and MobileNet papers. A
    batch counts as often as it has samples. Counted with torch's own
    ``torch.utils.flop_counter`` (two operations per multiply-accumulate), with the fused kernels
    that it does not know (oneDNN's recurrent layers, flash attention, the encoder fast path) switched off.

    Args:
        model: run as it is, in its present mode and without gradients.
        inputs: its positional arguments, torch tensors.

    Returns:
        (params, macs), both plain numbers.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    fast_path = torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), counter:
                model(*inputs)
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
    return sum(p.numel() for p in model.parameters()), int(counter.get_total_flops()) // 2
