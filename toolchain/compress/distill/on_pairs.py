"""What losses on paired layers have in common."""

from __future__ import annotations

from typing import ClassVar, Self

import torch

from toolchain.compress.distill.maps import same_size
from toolchain.compress.distill.term import Seen, Setting, Term

Channels = list[tuple[int, int]]


class OnPairs(Term):
    """A term on several pairs of layers.

    Args:
        indices: which of the pairs.
        channels: of each: the student's and the teacher's.

    Attributes:
        name: of the loss.
        maps: it needs layers with spatial axes.
        least: how many pairs it needs.
    """

    name: ClassVar[str]
    maps: ClassVar[bool] = False
    least: ClassVar[int] = 1

    def __init__(self, indices: tuple[int, ...], channels: Channels) -> None:
        super().__init__()
        self.indices, self.channels = indices, channels

    @classmethod
    def build(cls, setting: Setting) -> Self:
        """See :class:`Term`."""
        indices = cls.choose(setting.features(cls.name, maps=cls.maps, least=cls.least), setting)
        return cls(indices, [setting.pairs[index].channels for index in indices])

    @classmethod
    def choose(cls, found: tuple[int, ...], setting: Setting) -> tuple[int, ...]:
        """Which of the pairs that would do; by default all."""
        return found

    def extra_repr(self) -> str:
        """For ``repr``."""
        return f"pairs={self.indices}"

    def both(self, student: Seen, teacher: Seen) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Student's and teacher's features of each pair at the same spatial size, in float32."""
        return [same_size(student.features[index], teacher.features[index]) for index in self.indices]
