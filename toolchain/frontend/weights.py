"""Read and write state dicts, and refuse what cannot be right: other keys, other shapes, NaN."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from profiles.errors import ConfigError, ModelError, OutputError
from toolchain.frontend.require import install_extra, require

if TYPE_CHECKING:
    import torch

SUFFIXES = (".safetensors", ".pt", ".pth")
#: How many names an error lists.
_LISTED = 3
#: Batch normalisation's step counter, which inference does not use and old files lack.
_OPTIONAL = "num_batches_tracked"


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """Put the state dict at ``path`` into ``model``, in place.

    ``.pt`` files are loaded with ``weights_only=True``: tensors, no code. A dictionary with the state
    dict under ``state_dict`` or ``model``, and names that all start with ``module.``, are understood.

    Raises:
        ConfigError: no such file, or an unknown suffix.
        ModelError: a corrupt file, names or shapes that differ from the model's, NaN or infinite values.
    """
    state = read_state(path)
    _compare(model.state_dict(), state, path)
    check_finite(state.items(), str(path))
    model.load_state_dict(dict(state), strict=False)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a ``.pt``, ``.pth`` or ``.safetensors`` file by name; errors as in :func:`load_weights`."""
    if path.suffix not in SUFFIXES:
        raise ConfigError("weights are a state dict in a file", seen=str(path), allowed=", ".join(SUFFIXES))
    if not path.is_file():
        raise ConfigError("the weights file does not exist", seen=str(path))
    loaded = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return _unwrap(loaded, path)


def _read_safetensors(path: Path) -> Any:
    safetensors = require("safetensors.torch", "to read .safetensors weights", install_extra("frontend"))
    from safetensors import SafetensorError

    try:
        return safetensors.load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise _corrupt(path, error) from error


def _read_torch(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, BadZipFile) as error:
        raise _corrupt(path, error) from error


def _corrupt(path: Path, error: Exception) -> ModelError:
    lines = str(error).strip().splitlines()
    return ModelError(
        "the weights file cannot be read",
        seen=f"{path}: {lines[0].partition('. ')[0] if lines else type(error).__name__}",
        allowed="a state dict of tensors, saved by torch.save(model.state_dict(), …) or safetensors",
        next_step="save or copy the file again",
    )


def _unwrap(loaded: Any, path: Path) -> dict[str, torch.Tensor]:
    import torch

    for key in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    pairs = loaded.items() if isinstance(loaded, Mapping) else ()
    if not pairs or not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in pairs):
        raise ModelError("the weights file holds no state dict", seen=f"{path}: {type(loaded).__name__}")
    if all(name.startswith("module.") for name in loaded):
        return {name.removeprefix("module."): value for name, value in loaded.items()}
    return dict(loaded)


def _compare(wanted: Mapping[str, torch.Tensor], seen: Mapping[str, torch.Tensor], path: Path) -> None:
    missing = [name for name in wanted if name not in seen and not name.endswith(_OPTIONAL)]
    unexpected = [name for name in seen if name not in wanted]
    shapes = [
        f"{name} is {tuple(seen[name].shape)}, the model has {tuple(wanted[name].shape)}"
        for name in wanted
        if name in seen and wanted[name].shape != seen[name].shape
    ]
    parts = [_some("missing", missing), _some("unexpected", unexpected), _some("other shape", shapes)]
    if any(parts):
        raise ModelError(
            "the weights do not belong to this model",
            seen=f"{path}: " + "; ".join(part for part in parts if part),
            next_step="check the model's name, its number of classes and its input channels",
        )


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{what}: {', '.join(names[:_LISTED])}{more}"


def check_finite(tensors: Iterable[tuple[str, torch.Tensor]], where: str) -> None:
    """Refuse NaN and infinite values.

    Raises:
        ModelError: naming the first tensor that has any, and how many.
    """
    import torch

    for name, value in tensors:
        if value.is_floating_point() or value.is_complex():
            bad = int((~torch.isfinite(value)).sum())
            if bad:
                raise ModelError(
                    "weights must be finite numbers",
                    seen=f"{where}: {bad} of {value.numel()} values of '{name}' are NaN or infinite",
                    next_step="train again with a lower learning rate, or take an earlier checkpoint",
                )


def save_weights(model: torch.nn.Module, path: Path) -> None:
    """Write the state dict of ``model`` to ``.safetensors``, ``.pt`` or ``.pth``: all of the file or nothing.

    Raises:
        ConfigError: an unknown suffix.
        OutputError: the folder cannot be written, or the disk is full.
        MissingToolError: ``.safetensors`` without that package.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError("weights are written as a state dict", seen=str(path), allowed=", ".join(SUFFIXES))
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomically(path, encode_safetensors(state) if path.suffix == ".safetensors" else encode_torch(state))


def encode_safetensors(state: Mapping[str, torch.Tensor]) -> bytes:
    """A state dict as the bytes of a safetensors file; the same tensors give the same bytes."""
    module = require("safetensors.torch", "to write .safetensors weights", install_extra("frontend"))
    data: bytes = module.save(dict(state))
    return data


def encode_torch(value: Any) -> bytes:
    """Anything that ``torch.save`` takes, as bytes."""
    import io

    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part, whenever we are stopped.

    Raises:
        OutputError: the folder cannot be written, or the disk is full; an old file is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError("cannot write the file", seen=f"{path}: {error.strerror or error}") from error
