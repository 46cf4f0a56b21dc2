"""What a recipe asks of whoever can run models on devices."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from profiles.measurement import Metric
from toolchain.compress.rows import Speed

if TYPE_CHECKING:
    import torch

    from toolchain.compress.stages import Stage
    from toolchain.project.recipe import StepOptions


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two models on one device, measured in turn in one run; ``speed`` is None where they cannot be compared."""

    before: Metric
    after: Metric
    speed: Speed | None = None


class Clock(Protocol):
    """Measures models on devices."""

    def prepare(self, start: Stage, steps: Sequence[StepOptions]) -> None:
        """Refuse, before anything long is done, what cannot be measured at all.

        Raises:
            UnsupportedError: the model cannot be exported, or a time is asked of a device without a clock.
        """
        ...

    def compare(self, before: Stage, after: Stage) -> Mapping[str, Comparison]:
        """Both models on every device, by its name."""
        ...

    def seconds(self, model: torch.nn.Module, device: str) -> float:
        """One inference; an empty name means the first device.

        Raises:
            ConfigError: no such device.
            UnsupportedError: it cannot run the model.
        """
        ...

    def device(self, wanted: str | None) -> str:
        """The name of the device that a step is for; None means the first one."""
        ...

    def identity(self, wanted: str | None) -> Mapping[str, Any]:
        """What figures of that device depend on, beside the model."""
        ...
