"""What the zoo knows of a network, readable without torch."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import torch

CLASSIFICATION = "classification"
RECONSTRUCTION = "reconstruction"
TASKS = (CLASSIFICATION, RECONSTRUCTION)


@dataclasses.dataclass(frozen=True)
class ZooEntry:
    """One network.

    Attributes:
        name: as in ``zoo:NAME``.
        title: for people.
        builder: ``module:function`` that makes it.
        input_shape, layout: what it takes by default, the batch axis included.
        classes: default number of outputs (of values, for a reconstruction).
        task: ``classification`` (logits out) or ``reconstruction`` (the input again).
        stored: weights of the reference model, statistics of batch normalisation included.
        macs: multiply-accumulates of one inference at ``input_shape``.
        citation: where the architecture comes from.
    """

    name: str
    title: str
    builder: str
    input_shape: tuple[int, ...]
    layout: str
    classes: int
    task: str
    stored: int
    macs: int
    citation: str

    def build(self, *, classes: int | None = None, channels: int | None = None) -> torch.nn.Module:
        """The network in torch, with initial weights from torch's global random state.

        Args:
            classes: outputs of a classifier; None takes the default.
            channels: input channels (features, of an autoencoder); None takes the default.
        """
        module, function = self.builder.split(":")
        make = cast("Callable[..., Any]", getattr(importlib.import_module(module), function))
        channels = channels or self.input_shape[self.layout.index("C")]
        if self.task == RECONSTRUCTION:
            return make(features=channels)
        return make(classes=classes or self.classes, in_channels=channels)
