"""The search for the fastest placement: pure, with time and accuracy handed in.

Each candidate is timed in turns with the current best, so that clocks, heat and other load meet both, and judged by the
median of the rounds' ratios. One that gains less than the least gain is not worth its risk and stays out. In the end
the winner meets the default once more, because the best of many candidates is also the luckiest.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, Generic

from profiles.errors import ConfigError, EdgewrightError
from targets.tensorrt.search.search_rows import (
    DEFAULT,
    FAILED,
    INACCURATE,
    KEPT,
    OVERTAKEN,
    SLOWER,
    UNCONFIRMED,
    UNMEASURED,
    C,
    SearchResult,
    SearchRow,
)


@dataclasses.dataclass(frozen=True)
class _Duel:
    """One candidate against another: median times in seconds, ratio by round."""

    time: float
    other_time: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.ratios), max(self.ratios)


class _Unusable(Exception):
    """A candidate that could not be timed; ``culprit`` is its place in the list."""

    def __init__(self, culprit: int, why: str) -> None:
        super().__init__(why)
        self.culprit = culprit


def search(
    candidates: Sequence[C],
    time: Callable[[C], float],
    accuracy_loss: Callable[[C], float],
    allowed_loss: float,
    least_gain: float = 0.02,
    *,
    repeats: int = 5,
    name: Callable[[C], str] = str,
) -> SearchResult[C]:
    """Try the candidates in order, and keep one only when it gains enough and loses no more accuracy than allowed.

    Args:
        candidates: the first is the default.
        time: seconds that one inference takes, measured anew at each call; may raise an :class:`EdgewrightError`.
        accuracy_loss: against the float model, larger is worse; asked only of candidates that are fast enough.
        allowed_loss: the largest loss of a candidate other than the default.
        least_gain: the share of time that a candidate must save, 0.02 for 2 %.
        repeats: rounds of each comparison.
        name: of a candidate, for the rows.

    Raises:
        ConfigError: no candidate, no round, or a least gain that is no share.
    """
    _check(candidates, least_gain, repeats)
    return _Search(
        candidates=candidates,
        time=time,
        accuracy_loss=accuracy_loss,
        allowed_loss=allowed_loss,
        least_gain=least_gain,
        repeats=repeats,
        names=[name(candidate) for candidate in candidates],
    ).run()


def not_measured(candidates: Sequence[C], why: str, *, name: Callable[[C], str] = str) -> SearchResult[C]:
    """The default, where no device is at hand to time anything; ``why`` is a sentence without a full stop."""
    _check(candidates, 0.0, 1)
    first = SearchRow(name(candidates[0]), DEFAULT, f"the default placement; not measured: {why}")
    rest = [SearchRow(name(candidate), UNMEASURED, f"not measured: {why}") for candidate in candidates[1:]]
    return SearchResult(candidates[0], first.name, (first, *rest), None, 0.0, 0.0, 0)


def _check(candidates: Sequence[Any], least_gain: float, repeats: int) -> None:
    if not candidates:
        raise ConfigError("the placement search needs a candidate", seen="none", allowed="the default at least")
    if repeats < 1 or not 0 <= least_gain < 1:
        seen = f"{repeats} rounds and a least gain of {least_gain:g}"
        raise ConfigError("wanted rounds and a least gain", seen=seen, allowed="1 round or more; a share of 0 to 1")


@dataclasses.dataclass
class _Search(Generic[C]):
    """The state of one search: the best so far and the rows."""

    candidates: Sequence[C]
    time: Callable[[C], float]
    accuracy_loss: Callable[[C], float]
    allowed_loss: float
    least_gain: float
    repeats: int
    names: list[str]
    best: int = 0
    rows: list[SearchRow] = dataclasses.field(default_factory=list)

    def run(self) -> SearchResult[C]:
        """All candidates, then the confirmation."""
        self.rows = [SearchRow(self.names[0], DEFAULT, "the default placement")]
        broken = self._time_default()
        for index in range(1, len(self.candidates)):
            self.rows.append(SearchRow(self.names[index], UNMEASURED, broken) if broken else self._try(index))
        gain = None if broken else self._confirm()
        best = self.candidates[self.best]
        settings = (self.least_gain, self.allowed_loss, self.repeats)
        return SearchResult(best, self.names[self.best], tuple(self.rows), gain, *settings)

    def _time_default(self) -> str:
        """Time the default once; why that is impossible, or nothing."""
        try:
            seconds = self._measure(0)
        except _Unusable as error:
            self.rows[0] = dataclasses.replace(self.rows[0], why=f"the default placement; could not be timed: {error}")
            return f"the default could not be timed, so there is nothing to compare with: {error}"
        self.rows[0] = dataclasses.replace(self.rows[0], time=seconds)
        return ""

    def _try(self, index: int) -> SearchRow:
        """Time one candidate against the best so far; when it wins, it is the best."""
        try:
            duel = self._duel(index, self.best)
        except _Unusable as error:
            whose = "" if error.culprit == index else f"'{self.names[error.culprit]}', which it was to beat, "
            return SearchRow(self.names[index], FAILED, f"{whose}could not be timed: {error}")
        row = self._row(index, duel)
        if not self._gains(duel):
            return row
        row = self._judge_accuracy(index, row)
        if row.verdict == KEPT:
            if self.best:
                words = f"overtaken by '{row.name}'"
                self.rows[self.best] = dataclasses.replace(self.rows[self.best], verdict=OVERTAKEN, why=words)
            self.best = index
        return row

    def _row(self, index: int, duel: _Duel) -> SearchRow:
        against = self.names[self.best]
        why = f"{_percent(duel.ratio)} than '{against}'; a gain of {self.least_gain:.1%} is asked for"
        measured = (against, duel.time, duel.ratio, duel.spread)
        return SearchRow(self.names[index], SLOWER, why, *measured)

    def _judge_accuracy(self, index: int, row: SearchRow) -> SearchRow:
        """Whether a candidate that is fast enough is accurate enough."""
        try:
            loss = float(self.accuracy_loss(self.candidates[index]))
        except EdgewrightError as error:
            return dataclasses.replace(row, verdict=FAILED, why=f"its accuracy is unknown: {_first_line(error)}")
        faster = row.why.split(";")[0]
        if not loss <= self.allowed_loss:
            why = f"{faster}, but loses {loss:.4g} of accuracy; {self.allowed_loss:.4g} is allowed"
            return dataclasses.replace(row, verdict=INACCURATE, why=why, loss=loss)
        return dataclasses.replace(row, verdict=KEPT, why=f"{faster}, and loses {loss:.4g} of accuracy", loss=loss)

    def _confirm(self) -> float:
        """The best once more against the default; without the least gain the default stays. Returns the gain."""
        if not self.best:
            return 0.0
        row = self.rows[self.best]
        try:
            duel = self._duel(self.best, 0)
            words = f"{_percent(duel.ratio)} than the default when timed once more"
        except _Unusable as error:
            duel, words = None, f"could not be timed once more against the default: {error}"
        if duel and self._gains(duel):
            self.rows[self.best] = dataclasses.replace(row, why=f"{row.why}; {words}")
            self.rows[0] = dataclasses.replace(self.rows[0], time=duel.other_time)
            return 1 - duel.ratio
        self.rows[self.best] = dataclasses.replace(row, verdict=UNCONFIRMED, why=f"{row.why}; but {words}")
        self.best = 0
        return 0.0

    def _gains(self, duel: _Duel) -> bool:
        return duel.ratio <= 1 - self.least_gain and duel.ratio < 1

    def _duel(self, index: int, other: int) -> _Duel:
        """Rounds in turns: who is first changes from round to round."""
        times: dict[int, list[float]] = {index: [], other: []}
        for turn in range(self.repeats):
            for which in (index, other) if turn % 2 else (other, index):
                times[which].append(self._measure(which))
        ratios = tuple(mine / theirs for mine, theirs in zip(times[index], times[other], strict=True))
        return _Duel(statistics.median(times[index]), statistics.median(times[other]), ratios)

    def _measure(self, index: int) -> float:
        try:
            seconds = float(self.time(self.candidates[index]))
        except EdgewrightError as error:
            raise _Unusable(index, _first_line(error)) from error
        if not (math.isfinite(seconds) and seconds > 0):
            raise _Unusable(index, f"the clock said {seconds:g} s")
        return seconds


def _percent(ratio: float) -> str:
    """A ratio of times in words."""
    return f"{1 - ratio:.1%} faster" if ratio < 1 else f"{ratio - 1:.1%} slower"


def _first_line(error: EdgewrightError) -> str:
    return f"{error.wanted}: {error.seen}" if error.seen else error.wanted
