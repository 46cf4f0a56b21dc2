"""Fused groups in C's words: for every stage the loop that fetches its rows, and the call that computes one.

The schedule is that of ``plan/strips.py``. Names in the template ``edgewright_model.c.j2``: ``a`` is the arena, ``n``
the counters of the stages, ``r`` the row wanted, ``to`` where it goes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from targets.tflite_micro.calls import Arg, Call, In, Out, Value
from targets.tflite_micro.plan.strips import IN_PLACE, Group, Source, Stage
from targets.tflite_micro.program import Layer, Program


@dataclasses.dataclass(frozen=True)
class StageView:
    """One stage as the template prints it.

    Attributes:
        number: in the group.
        function: whose params struct it has; params: its members.
        mode: ``ring``, ``direct`` or ``elementwise``.
        stage: the plan's.
        load, row: C functions of a ring.
        scratch: C expression.
        pulls: stages to pull, with where their row goes.
        fetch: C expression of the row that is loaded or read: ``y`` is its number in a ring.
        arguments: C expressions of the call, for stages without a ring.
    """

    number: int
    function: str
    params: Mapping[str, Value]
    mode: str
    stage: Stage
    load: str
    row: str
    scratch: str
    pulls: tuple[tuple[int, str], ...]
    fetch: str
    arguments: tuple[str, ...]


def stages_of(program: Program, layer: Layer) -> list[StageView]:
    """The stages of a group, sources before their consumers."""
    assert layer.group is not None
    rows = _Rows(program, layer, layer.group)
    return [rows.view(number) for number in range(len(layer.calls))]


class _Rows:
    def __init__(self, program: Program, layer: Layer, group: Group) -> None:
        self.program, self.layer, self.group = program, layer, group

    def view(self, number: int) -> StageView:
        stage, call = self.group.stages[number], self.layer.calls[number]
        forms: dict[str, Callable[[Call, Stage], Mapping[str, Value]]] = {
            "ring": lambda call, stage: call.params,
            "direct": lambda call, stage: {**call.params, "in_h": 1, "out_h": 1},
            "elementwise": lambda call, stage: {**call.params, "count": _count(call) // stage.rows},
        }
        first = stage.sources[0]
        return StageView(
            number=number,
            function=call.function,
            params=forms[stage.mode](call, stage),
            mode=stage.mode,
            stage=stage,
            load=call.rows.load if call.rows else "",
            row=call.rows.row if call.rows else "",
            scratch=self._place(stage.scratch),
            pulls=tuple((source.stage, self._buffer(source)) for source in stage.pulls),
            fetch=self._row(first, "y" if stage.mode == "ring" else f"r * {stage.stride}"),
            arguments=tuple(self._argument(arg, stage) for arg in call.args),
        )

    def _place(self, offset: int) -> str:
        return "NULL" if offset < 0 else f"a + {self.layer.scratch + offset}"

    def _buffer(self, source: Source) -> str:
        return "to" if source.at == IN_PLACE else self._place(source.at)

    def _row(self, source: Source, row: str) -> str:
        """Where a row of a source is: in its row buffer, or in memory."""
        if source.stage >= 0:
            return self._buffer(source)
        return f"a + {self.program.offsets[source.tensor]} + {row} * {source.row_bytes}"

    def _argument(self, arg: Arg, stage: Stage) -> str:
        if isinstance(arg, Out):
            return "(void *)to"
        if not isinstance(arg, In):
            return f"(void *)({self._place(stage.scratch)})"
        step = "r" if stage.mode == "elementwise" else f"r * {stage.stride}"
        source = next((source for source in stage.sources if source.tensor == arg.tensor), None)
        if source is not None:
            return f"(const void *)({self._row(source, step)})"
        row_bytes = self.program.graph.tensor(arg.tensor).bytes // stage.rows
        return f"(const void *)(t{arg.tensor} + {step} * {row_bytes})"


def _count(call: Call) -> int:
    count: Any = call.params["count"]
    return int(count)
