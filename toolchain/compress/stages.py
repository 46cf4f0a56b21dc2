"""Models between the steps of a recipe, and where they are kept so that an interrupted recipe goes on."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from toolchain.cache.keys import source_digest, step_key
from toolchain.compress.keep import NotKeptError, load_model, load_row, save_stage
from toolchain.compress.rows import Row

if TYPE_CHECKING:
    import torch

    from toolchain.compress.context import Context
    from toolchain.project.recipe import StepOptions

#: Sources that decide what a step makes.
CODE = ("toolchain.compress", "toolchain.frontend", "toolchain.project.recipe")


class Stage:
    """A model after a step, loaded when it is first asked for.

    Args:
        key: says all that the model depends on.
        row: what is told of it.
        load: gives the model, in eval mode on the CPU.
        cached: whether it was there already.
    """

    def __init__(self, key: str, row: Row, load: Callable[[], torch.nn.Module], *, cached: bool = False) -> None:
        self.key, self.row, self.cached = key, row, cached
        self._load = load

    @functools.cached_property
    def model(self) -> torch.nn.Module:
        """The module itself; not to be changed."""
        return self._load()


NOT_KEPT = "the model after this step cannot be kept, and is made again next time: {}"
#: Carries a step out; the folder is for checkpoints.
Make = Callable[[Path | None], "tuple[torch.nn.Module, Row]"]


class Store(Protocol):
    """Keeps what steps made."""

    def keep(self, inputs: Mapping[str, Any], make: Make) -> Stage:
        """What ``make`` gave for these inputs, now or earlier."""
        ...


class Direct:
    """Keeps nothing."""

    def keep(self, inputs: Mapping[str, Any], make: Make) -> Stage:
        """Make it."""
        model, row = make(None)
        return Stage(step_key("compress", 1, inputs), row, lambda: model)


class FolderStore:
    """Keeps stages in a folder of the caller's, for recipes that are run from Python.

    Args:
        folder: made when it is not there.
        start: the model that the recipe begins with.
        base: what all steps depend on.
    """

    def __init__(self, folder: Path, start: torch.nn.Module, base: Mapping[str, Any]) -> None:
        self._folder, self._start = folder, start
        self._base = {**base, "start": model_digest(start), "code": source_digest(*CODE)}

    def keep(self, inputs: Mapping[str, Any], make: Make) -> Stage:
        """See :class:`Store`."""
        key = step_key("compress", 1, {**self._base, **inputs})
        place, work = self._folder / "stages" / key, self._folder / "checkpoints" / key
        if place.is_dir():
            return Stage(key, load_row(place), lambda: load_model(place, lambda: self._start), cached=True)
        model, row = make(work)
        new = place.with_name(f"{key}.{os.getpid()}")
        new.mkdir(parents=True, exist_ok=True)
        try:
            save_stage(new, model, row, self._start)
            new.replace(place)
        except NotKeptError as error:
            shutil.rmtree(new)
            row = row.noted(NOT_KEPT.format(error))
        shutil.rmtree(work, ignore_errors=True)
        return Stage(key, row, lambda: model)


def base_inputs(context: Context) -> dict[str, Any]:
    """What all steps of a recipe depend on, beside the model and the code."""
    return {
        "inputs": dict(context.inputs),
        "data": context.data.digest if context.data else None,
        "task": context.task,
        "training": context.training,
        "seed": context.seed,
        "torch device": context.device,
    }


def options_key(options: StepOptions) -> dict[str, Any]:
    """The options that decide what a step makes, not whether it is kept; paths stand for the files' contents."""
    return {options.step: options.model_dump(exclude={"guard", "max_drop"})}


def model_digest(model: torch.nn.Module) -> str:
    """SHA-256 of a module's structure, in torch's words, and of its weights."""
    import torch

    found = hashlib.sha256(repr(model).encode())
    for name, value in model.state_dict().items():
        found.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
