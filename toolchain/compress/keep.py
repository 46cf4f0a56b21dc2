"""A compressed model on disk: the whole module, because its layers no longer are those of the code that made it.

The file is a pickle. It is read from our own cache only, whose folder nobody else may write, and whose entries are
checked against their hashes. Classes and functions of the model that a recipe starts from are not looked up by name:
the file says in which of its layers each was found, so that classes inside of functions, and two projects with a
``net.py`` each, make no trouble.
"""

from __future__ import annotations

import inspect
import io
import json
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.compress.rows import Row

if TYPE_CHECKING:
    import torch

MODEL, ROW = "model.pickle", "row.json"
#: What pickling raises for what cannot be pickled; torch's parametrizations raise RuntimeError.
_REFUSALS = (pickle.PicklingError, TypeError, AttributeError, RuntimeError, NotImplementedError, RecursionError)
Address = tuple[str, str]


class NotKeptError(Exception):
    """A module that cannot be written; the text says why."""


def save_stage(folder: Path, model: torch.nn.Module, row: Row, start: torch.nn.Module) -> None:
    """Write a model and its row; ``start`` is the model that the recipe began with.

    Raises:
        NotKeptError: something in the module cannot be pickled.
    """
    (folder / MODEL).write_bytes(encode_module(model, start))
    (folder / ROW).write_text(json.dumps(row.as_dict()), encoding="utf-8")


def load_row(folder: Path) -> Row:
    """The row that :func:`save_stage` wrote."""
    return Row.from_dict(json.loads((folder / ROW).read_text(encoding="utf-8")))


def load_model(folder: Path, start: Callable[[], torch.nn.Module], root: Path = Path()) -> torch.nn.Module:
    """The model that :func:`save_stage` wrote; modules of the user's are imported from ``root``."""
    with _importable(root):
        return decode_module((folder / MODEL).read_bytes(), start())


def encode_module(model: torch.nn.Module, start: torch.nn.Module) -> bytes:
    """The bytes of a module.

    Raises:
        NotKeptError: something in it cannot be pickled.
    """
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, _addresses(start)).dump(model)
    except _REFUSALS as error:
        raise NotKeptError(str(error).partition("\n")[0]) from error
    return buffer.getvalue()


def decode_module(data: bytes, start: torch.nn.Module) -> torch.nn.Module:
    """The inverse of :func:`encode_module`, with a ``start`` made by the same code."""
    found: torch.nn.Module = _Unpickler(io.BytesIO(data), start).load()
    return found


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, addresses: dict[int, Address]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._addresses = addresses

    def persistent_id(self, value: Any) -> Address | None:
        return self._addresses.get(id(value)) if isinstance(value, type | types.FunctionType) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, start: torch.nn.Module) -> None:
        super().__init__(file)
        self._start = start

    def persistent_load(self, address: Address) -> Any:
        layer, attribute = address
        holder = self._start.get_submodule(layer)
        return vars(holder)[attribute] if attribute else type(holder)


def _addresses(start: torch.nn.Module) -> dict[int, Address]:
    """By identity: the layer whose class it is, or the layer and attribute that hold the function."""
    found: dict[int, Address] = {}
    for name, layer in start.named_modules():
        if not type(layer).__module__.startswith("torch."):
            found.setdefault(id(type(layer)), (name, ""))
        for attribute, value in vars(layer).items():
            if inspect.isfunction(value) and not value.__module__.startswith("torch."):
                found.setdefault(id(value), (name, attribute))
    return found


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    folder = str(root.resolve())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
