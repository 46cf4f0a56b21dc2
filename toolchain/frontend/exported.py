"""Programs saved by ``torch.export.save`` (``.pt2``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.errors import ConfigError, ModelError
from toolchain.export.silence import captured

if TYPE_CHECKING:
    import torch

#: Operators that compute something else in training mode, and the position of the argument that says so.
_MODE_ARGUMENT = {"dropout": 2, "batch_norm": 5, "feature_dropout": 2, "alpha_dropout": 2}


def load_exported(path: Path) -> torch.nn.Module:
    """The module in a ``.pt2`` file. It has no training mode: it is what it was when it was exported.

    Raises:
        ConfigError: no such file.
        ModelError: a corrupt file, or a program that was exported in training mode.
    """
    import torch

    if not path.is_file():
        raise ConfigError("the model file does not exist", seen=str(path))
    try:
        with captured():  # it logs the traceback of what it then raises
            module = torch.export.load(path).module()
    except Exception as error:  # a damaged archive fails in any layer below torch.export
        lines = str(error).strip().splitlines()
        raise ModelError(
            "the .pt2 file cannot be read",
            seen=f"{path}: {lines[0] if lines else type(error).__name__}",
            allowed="a program saved by torch.export.save",
            next_step="export or copy the model again",
        ) from error
    _refuse_training_mode(module, path)
    return module


def _refuse_training_mode(module: Any, path: Path) -> None:
    for node in module.graph.nodes:
        name = getattr(node.target, "__name__", "").partition(".")[0]
        position = _MODE_ARGUMENT.get(name)
        if position is not None and len(node.args) > position and node.args[position] is True:
            raise ModelError(
                "the program was exported in training mode",
                seen=f"{path}: '{node.name}' has training=True",
                next_step="call model.eval() before torch.export.export",
            )


def is_exported(module: object) -> bool:
    """Whether a module is a program that came out of ``torch.export``."""
    import torch

    return isinstance(module, torch.fx.GraphModule)


def fixed_batch(module: Any) -> int | None:
    """The batch size that an exported program insists on, or None when any will do."""
    graph = getattr(module, "graph", None)
    for node in getattr(graph, "nodes", ()):
        shape = getattr(node.meta.get("val"), "shape", None)
        if node.op == "placeholder" and shape:
            return shape[0] if isinstance(shape[0], int) else None
    return None
