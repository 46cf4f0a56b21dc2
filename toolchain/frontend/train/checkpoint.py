"""Where a run can be taken up again: one file, replaced as a whole after every epoch."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from profiles.errors import ConfigError, ModelError
from toolchain.frontend.specs import TrainSpec
from toolchain.frontend.weights import encode_torch, write_atomically

if TYPE_CHECKING:
    import torch

FORMAT = 2


@dataclasses.dataclass
class Checkpoint:
    """The state after ``epoch`` whole epochs.

    Attributes:
        run: identifies model, data and settings (:func:`run_identity`).
        epoch: number of epochs behind us.
        losses: mean training loss of each.
        model, optimizer, scheduler: their state dicts.
        extra: state dicts of the objective and of the hooks.
    """

    run: str
    epoch: int
    losses: list[float]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file; whenever we are stopped, it is the old one or the new one.

        Raises:
            OutputError: the folder cannot be written, or the disk is full.
        """
        write_atomically(path, encode_torch({"format": FORMAT, **vars(self)}))

    @classmethod
    def load(cls, path: Path, run: str) -> Checkpoint | None:
        """Read the file, or None when there is none.

        Raises:
            ModelError: the file is damaged.
            ConfigError: it belongs to another run (other data, model or settings).
        """
        if not path.exists():
            return None
        found = _read(path)
        if found.pop("run") != run:
            raise ConfigError(
                "the checkpoint belongs to a run with another model, other data or other settings",
                seen=str(path),
                next_step="delete it to start afresh, or give another file",
            )
        return cls(run=run, **found)


def _read(path: Path) -> dict[str, Any]:
    import torch

    names = {field.name for field in dataclasses.fields(Checkpoint)}
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, BadZipFile) as error:
        raise _damaged(path, type(error).__name__) from error
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT or set(found) != names:
        raise _damaged(path, "not one of ours")
    return found


def _damaged(path: Path, why: str) -> ModelError:
    return ModelError("the checkpoint cannot be read", seen=f"{path}: {why}", next_step="delete it to start afresh")


def run_identity(model: torch.nn.Module, digest: str, spec: TrainSpec, task: str, *extras: str) -> str:
    """A hash of the initial weights, the data's digest, the settings, the task and what else the run depends on."""
    import torch

    found = hashlib.sha256(repr((FORMAT, digest, spec, task, extras)).encode())
    for name, value in model.state_dict().items():
        found.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def checkpoint_name(purpose: str) -> str:
    """A file name for the checkpoint of a run that people call ``purpose``."""
    return f"{hashlib.sha256(purpose.encode()).hexdigest()[:16]}.pt"
