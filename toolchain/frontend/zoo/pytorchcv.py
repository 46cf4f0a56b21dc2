"""Networks of the pytorchcv package, found by name without importing all of its 600 modules.

Its ``model_provider`` imports every model at once, among them one that needs torchvision, which
has no CPU build on every machine. So the table of names is read from the provider's source, and
only the one module that defines the network is imported.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from profiles.errors import ConfigError, MissingToolError, ModelError
from profiles.suggest import did_you_mean
from toolchain.frontend.require import require

if TYPE_CHECKING:
    import torch

INSTALL = "pip install --no-deps pytorchcv==0.0.74"


@functools.cache
def names() -> dict[str, str]:
    """Every network's name and the module that defines it.

    Raises:
        MissingToolError: pytorchcv is not installed.
    """
    spec = importlib.util.find_spec("pytorchcv")
    if spec is None or not spec.submodule_search_locations:
        raise MissingToolError(
            "zoo:pytorchcv/NAME needs the Python package 'pytorchcv'", seen="not installed", next_step=INSTALL
        )
    provider = Path(next(iter(spec.submodule_search_locations))) / "model_provider.py"
    tree = ast.parse(provider.read_text(encoding="utf-8"))
    origin = {
        alias.asname or alias.name: f"pytorchcv.{node.module}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
        for alias in node.names
    }
    return {name: origin[function] for name, function in _table(tree) if function in origin and name == function}


def _table(tree: ast.Module) -> list[tuple[str, str]]:
    """The entries of the provider's ``_models`` dictionary: name and function."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and _target(node) == "_models":
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return [(str(k.value), v.id) for k, v in pairs if isinstance(k, ast.Constant) and isinstance(v, ast.Name)]
    return []


def _target(node: ast.Assign) -> str:
    return node.targets[0].id if isinstance(node.targets[0], ast.Name) else ""


def build(name: str, *, classes: int | None, channels: int | None, size: tuple[int, int] | None) -> torch.nn.Module:
    """A network with random weights and without in-place activations; nothing is downloaded.

    With ``size``, the last pooling covers the whole image at any size; networks for 224x224 pool 7x7 windows, and
    could not compute anything else.

    Args:
        name: such as ``resnet50``.
        classes, channels, size: number of outputs, input channels, height and width; None leaves
            the network's own default.

    Raises:
        ConfigError: unknown name; the nearest one is given.
        MissingToolError: pytorchcv, or something that this one network imports, is not installed.
        ModelError: the network cannot be made with these arguments.
    """
    known = names()
    if name not in known:
        raise ConfigError(
            "no such network in pytorchcv", seen=f"zoo:pytorchcv/{name}", next_step=did_you_mean(name, known)
        )
    module = require(known[name], f"for zoo:pytorchcv/{name}", INSTALL)
    make = cast("Callable[..., Any]", getattr(module, name))
    wanted = {"num_classes": classes, "in_channels": channels, "in_size": size}
    arguments = {key: value for key, value in wanted.items() if value is not None}
    try:
        model = _make(make, arguments)
    except (TypeError, ValueError, AssertionError, NotImplementedError) as error:
        line = traceback.extract_tb(error.__traceback__)[-1].line
        raise ModelError(
            f"cannot make zoo:pytorchcv/{name} with {arguments}",
            seen=f"{type(error).__name__}: {str(error) or line}",
            next_step="leave out what this network does not take, or choose another one",
        ) from error
    return without_inplace(_pool_everything(model) if size else model)


def _make(make: Callable[..., Any], arguments: dict[str, Any]) -> torch.nn.Module:
    """EfficientNets insist on the size that they were published for, and compute with others."""
    try:
        model: torch.nn.Module = make(pretrained=False, **arguments)
    except AssertionError as error:
        if "in_size" not in (traceback.extract_tb(error.__traceback__)[-1].line or ""):
            raise
        model = make(pretrained=False, **{key: value for key, value in arguments.items() if key != "in_size"})
    return model


def _pool_everything(model: torch.nn.Module) -> torch.nn.Module:
    """Give the pooling before the classifier a window as large as its image; where it was that already, no change."""
    import torch

    from toolchain.frontend.zoo.layers import ImageAvgPool

    for module in list(model.modules()):
        if isinstance(getattr(module, "final_pool", None), torch.nn.AvgPool2d):
            module.final_pool = ImageAvgPool()
    return model


def without_inplace(model: torch.nn.Module) -> torch.nn.Module:
    """Switch every layer to ``inplace=False``, in place; returns the model.

    It computes the same. An in-place activation overwrites a tensor that other layers still refer to, so that graphs
    cannot be traced, or lose the layers behind it.
    """
    for module in model.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    return model
