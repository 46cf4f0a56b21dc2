"""What a model needs before it can be pruned."""

from __future__ import annotations

import torch


def prepare(model: torch.nn.Module) -> torch.nn.Module:
    """Switch every in-place layer to a copying one; in place, returns the model.

    An in-place activation overwrites a tensor that other layers still refer to: dependency tracing then loses the
    layers behind it (Torch-Pruning drops such groups silently). The function computed stays the same.
    """
    for module in model.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    return model
