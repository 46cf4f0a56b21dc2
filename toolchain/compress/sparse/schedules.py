"""When weights go: schedules over the steps of a training, and over rounds. Plain numbers."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Cubic:
    """Gradual sparsity (Zhu & Gupta 2017, arXiv:1710.01878, equation 1).

    s_t = s_f + (s_i - s_f) (1 - (t - t0) / (n Δt))³ for t in {t0, t0 + Δt, …, t0 + n Δt}

    Attributes:
        final: s_f, the share of zeros at the end.
        initial: s_i, at the beginning.
        begin, end: t0 and t0 + n Δt as shares of the training; the rest of it recovers.
        updates: n at most; a short training has fewer steps.
    """

    final: float
    initial: float = 0.0
    begin: float = 0.0
    end: float = 0.75
    updates: int = 100

    def _times(self, total: int) -> tuple[int, int, int]:
        """t0, Δt and n, in steps."""
        first = math.floor(self.begin * total)
        span = max(1, math.floor(self.end * total) - first)
        interval = max(1, span // self.updates)
        return first, interval, span // interval

    def last(self, total: int) -> int:
        """The step with the last update, of ``total``."""
        first, interval, count = self._times(total)
        return first + count * interval

    def due(self, step: int, total: int) -> bool:
        """Whether masks change before this step."""
        first, interval, _ = self._times(total)
        return first <= step <= self.last(total) and (step - first) % interval == 0

    def sparsity(self, step: int, total: int) -> float:
        """s_t."""
        first, interval, count = self._times(total)
        if step >= self.last(total):
            return self.final
        done = max(0, step - first) / (count * interval)
        return self.final + (self.initial - self.final) * (1 - done) ** 3


@dataclasses.dataclass(frozen=True)
class Cosine:
    """Which share of a layer's connections moves (Evci et al. 2020, arXiv:1911.11134, section 3).

    f(t) = α / 2 (1 + cos(π t / T_end)), every ΔT steps before T_end

    Attributes:
        alpha: α, the share that moves first.
        end: T_end as a share of the training.
        interval: ΔT in steps, at most; a short training moves at least ``moves`` times, where it has the steps.
    """

    alpha: float = 0.3
    end: float = 0.75
    interval: int = 100
    moves: int = 20

    def due(self, step: int, total: int) -> bool:
        """Whether connections move in this step."""
        end = math.floor(self.end * total)
        every = max(1, min(self.interval, end // self.moves))
        return 0 < step < end and step % every == 0

    def share(self, step: int, total: int) -> float:
        """f(t)."""
        return self.alpha / 2 * (1 + math.cos(math.pi * step / math.floor(self.end * total)))


def after_round(sparsity: float, number: int, rounds: int) -> float:
    """Sparsity after round ``number``, from 1: every round removes the same share of what is left.

    As in Frankle & Carbin 2019 (arXiv:1803.03635): 1 - (1 - s)^(number / rounds).
    """
    return sparsity if number == rounds else 1 - (1 - sparsity) ** (number / rounds)


def split(epochs: int, parts: int) -> list[int]:
    """Whole epochs in so many parts whose sizes differ by at most one, the larger ones last."""
    return [epochs * (part + 1) // parts - epochs * part // parts for part in range(parts)]
