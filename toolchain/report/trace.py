"""A Chrome trace, as far as the report draws it: what each track did when, and how busy the memory port was."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

#: A trace with more bytes is not read: Perfetto is for those.
LARGEST = 1 << 23
_Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Event(BaseModel):
    """One event: times in microseconds. See "Trace Event Format" (Google, 2016)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ph: str
    name: str = ""
    cat: str = ""
    tid: int = 0
    ts: _Finite = 0.0
    dur: _Finite = 0.0
    args: dict[str, Any] = {}


class Trace(BaseModel):
    """``timeline.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    traceEvents: tuple[Event, ...] = ()
    otherData: dict[str, Any] = {}

    def track(self, name: str) -> tuple[Event, ...]:
        """The slices of a track in order; nothing where there is no track of that name."""
        numbers = {
            each.tid
            for each in self.traceEvents
            if each.ph == "M" and each.name == "thread_name" and each.args.get("name") == name
        }
        return tuple(each for each in self.traceEvents if each.ph == "X" and each.tid in numbers)

    def counter(self, name: str, series: str) -> tuple[Step, ...]:
        """A counter's values in order, each valid until the next."""
        return tuple(
            Step(each.ts, float(value))
            for each in self.traceEvents
            if each.ph == "C" and each.name == name and isinstance(value := each.args.get(series), int | float)
        )

    @property
    def end(self) -> float:
        """Microseconds until the last slice is over."""
        return max((each.ts + each.dur for each in self.traceEvents if each.ph == "X"), default=0.0)

    @property
    def clock(self) -> str:
        """What turned cycles into time, in words."""
        return str(self.otherData.get("clock", ""))


@dataclasses.dataclass(frozen=True)
class Step:
    """A counter's value from a time in microseconds on."""

    at: float
    value: float
