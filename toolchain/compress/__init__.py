"""Compression of torch models: pruning, sparsity, low rank, distillation.

``compress(model, [Prune(method="l1", ratio=0.5)], example_input=x)`` runs a recipe; ``edgewright methods``
lists what there is. Importing this package loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain.compress.context import Context
    from toolchain.compress.recipe import CompressResult, Row, compress
    from toolchain.project.recipe import Distill, Finetune, LowRank, Prune, Sparsify, Teacher

_FROM = {
    **dict.fromkeys(("compress", "CompressResult", "Row"), "toolchain.compress.recipe"),
    "Context": "toolchain.compress.context",
    **dict.fromkeys(("Distill", "Finetune", "LowRank", "Prune", "Sparsify", "Teacher"), "toolchain.project.recipe"),
}
__all__ = [
    "CompressResult",
    "Context",
    "Distill",
    "Finetune",
    "LowRank",
    "Prune",
    "Row",
    "Sparsify",
    "Teacher",
    "compress",
]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_FROM[name]), name)
