"""From the ``source`` of a model to a torch module: zoo, pytorchcv, a callable of the user's, or a ``.pt2`` file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.errors import ConfigError, ModelError
from toolchain.frontend.exported import load_exported
from toolchain.frontend.specs import InputSpec, ModelSpec
from toolchain.frontend.user_code import call_user
from toolchain.frontend.weights import check_finite, load_weights
from toolchain.frontend.zoo import CLASSIFICATION, zoo_entry
from toolchain.frontend.zoo import pytorchcv as cv

if TYPE_CHECKING:
    import torch

ZOO_PREFIX = "zoo:"
CV_PREFIX = "zoo:pytorchcv/"
FORMS = "zoo:NAME, zoo:pytorchcv/NAME, module:callable, or a .pt2 file"


def load_module(spec: ModelSpec) -> torch.nn.Module:
    """Build the model, load its weights, and return it in eval mode on the CPU.

    Initial weights depend on ``spec.seed`` only; torch's global random state is left as it was.

    Raises:
        ConfigError: an unknown source or name, a missing file, an input that the network does not take.
        MissingToolError: pytorchcv is wanted and not installed.
        ModelError: a corrupt file, weights of another model, NaN or infinite weights.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        module = _build(spec)
    if spec.weights is not None:
        load_weights(module, spec.root / spec.weights)
    check_finite(module.state_dict().items(), spec.source)
    return module if spec.source.endswith(".pt2") else module.eval()


def default_input(source: str) -> InputSpec | None:
    """The input that a built-in network takes by default, or None where only the user can know.

    Raises:
        ConfigError: an unknown ``zoo:`` name.
    """
    if not source.startswith(ZOO_PREFIX) or source.startswith(CV_PREFIX):
        return None
    entry = zoo_entry(source.removeprefix(ZOO_PREFIX))
    return InputSpec(shape=entry.input_shape, layout=entry.layout)


def default_task(source: str) -> str:
    """``classification`` or ``reconstruction``: what a built-in network does, else classification.

    Raises:
        ConfigError: an unknown ``zoo:`` name.
    """
    if not source.startswith(ZOO_PREFIX) or source.startswith(CV_PREFIX):
        return CLASSIFICATION
    return zoo_entry(source.removeprefix(ZOO_PREFIX)).task


def _build(spec: ModelSpec) -> torch.nn.Module:
    if spec.source.startswith(CV_PREFIX):
        return _from_pytorchcv(spec)
    if spec.source.startswith(ZOO_PREFIX):
        return _from_zoo(spec)
    if spec.source.endswith(".pt2"):
        return load_exported(spec.root / spec.source)
    if ":" in spec.source:
        return _module(call_user(spec.source, spec.root, spec.options), spec.source)
    hint = "this kind of file is built from directly, without torch" if _is_graph_file(spec.source) else ""
    raise ConfigError("cannot tell what the model's source is", seen=repr(spec.source), allowed=FORMS, next_step=hint)


def _is_graph_file(source: str) -> bool:
    return Path(source).suffix in (".onnx", ".tflite")


def _from_zoo(spec: ModelSpec) -> torch.nn.Module:
    entry = zoo_entry(spec.source.removeprefix(ZOO_PREFIX))
    if spec.input is not None and spec.input.layout != entry.layout:
        raise ConfigError(
            f"{spec.source} takes the layout {entry.layout}",
            seen=repr(spec.input.layout),
            allowed=f"shape like {'x'.join(map(str, entry.input_shape))}",
        )
    return entry.build(classes=spec.classes, channels=spec.input.channels if spec.input else None)


def _from_pytorchcv(spec: ModelSpec) -> torch.nn.Module:
    size = spec.input.height_width if spec.input and spec.input.is_image else None
    channels = spec.input.channels if spec.input else None
    return cv.build(spec.source.removeprefix(CV_PREFIX), classes=spec.classes, channels=channels, size=size)


def _module(made: Any, source: str) -> torch.nn.Module:
    import torch

    if not isinstance(made, torch.nn.Module):
        raise ModelError(f"{source} must return a torch.nn.Module", seen=f"a {type(made).__name__}")
    return made
