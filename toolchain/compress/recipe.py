"""Run a recipe: an ordered list of compression steps, each with a row of what it changed."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.errors import ConfigError, DataError
from profiles.runner import Array
from toolchain.compress.clock import Clock, Comparison
from toolchain.compress.context import Context
from toolchain.compress.guard import judged, reshapes
from toolchain.compress.naming import method_of, named, title_of
from toolchain.compress.passes import Outcome, check_all
from toolchain.compress.rounding import Rounding, rounded
from toolchain.compress.rows import START, Row, Speed, make_row
from toolchain.compress.stages import Direct, FolderStore, Stage, Store, base_inputs, options_key
from toolchain.frontend.data import Splits
from toolchain.progress import Progress, Step

if TYPE_CHECKING:
    import torch

    from toolchain.project.recipe import StepOptions

#: Share of zero weights, beyond those of the start, that a step did not leave by chance.
_NOTABLE = 0.01
__all__ = ["CompressResult", "Recipe", "Row", "Speed", "compress", "run_step", "title_of"]


@dataclasses.dataclass(frozen=True)
class CompressResult:
    """The compressed model in eval mode, and a row per step; the first row is the model at the start."""

    model: torch.nn.Module
    rows: tuple[Row, ...]


def compress(
    model: torch.nn.Module,
    steps: Sequence[StepOptions],
    data: Splits | None = None,
    example_input: torch.Tensor | Mapping[str, Array] | None = None,
    *,
    context: Context | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> CompressResult:
    """Run the steps in order; the given model stays as it is.

    Args:
        model: its mode does not matter.
        steps: such as ``[Prune(method="l1", ratio=0.5)]``.
        data: samples, for the methods that need some and for the accuracy.
        example_input: one inference's input, for counting and tracing; by default the first training sample.
        context: everything at once, instead of the two before. With a folder ``work`` each step's result is kept
            there: an interrupted recipe goes on where it was stopped.
        clock: measures on devices; None leaves latencies out.
        progress: shows what is going on; silent by default.

    Raises:
        ConfigError: neither data nor an example input.
        ModelError: a condition of a step does not hold, or a training diverged.
        UnsupportedError: a goal that cannot be reached; the reachable minimum is named.
    """
    around = context or Context(inputs=_inputs(example_input, data), data=data)
    start = copy.deepcopy(model).eval()
    store: Store = Direct() if around.work is None else FolderStore(around.work, start, base_inputs(around))
    shown = progress or Progress(quiet=True)
    wish = Rounding(around.round_to, "round_to of the context", fixed=True)
    recipe = Recipe(lambda: start, tuple(steps), lambda: around, store, clock, shown, rounding=lambda device: wish)
    stages, rows = recipe.run()
    return CompressResult(copy.deepcopy(stages[-1].model), rows)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that a run of a recipe needs.

    Attributes:
        start: gives the model to begin with, in eval mode; it is not changed.
        steps: in order.
        context: gives what steps may use; asked only for a step that is not kept already.
        store: where the models between the steps are kept.
        clock: measures on devices, or None.
        progress: shows every step.
        rounding: from a step's device to the multiple that channel counts should be of.
    """

    start: Callable[[], torch.nn.Module]
    steps: tuple[StepOptions, ...]
    context: Callable[[], Context]
    store: Store
    clock: Clock | None
    progress: Progress
    rounding: Callable[[str | None], Rounding]

    def run(self) -> tuple[list[Stage], tuple[Row, ...]]:
        """The stages that are part of the result, the start among them, and a row for every step."""
        stages = [self._start()]
        rows = [stages[0].row]
        for number, options in enumerate(self.steps, 1):
            title = f"compress {number}/{len(self.steps)}: {title_of(options)}"
            with self.progress.step(title) as shown:
                stage, row = self._step(stages[-1], options, number, rows, shown)
            rows.append(row)
            if row.kept:
                stages.append(stage)
        return stages, self._with_total(stages, rows)

    def _with_total(self, stages: Sequence[Stage], rows: Sequence[Row]) -> tuple[Row, ...]:
        """The rows, the last one that was kept with the speed of the whole recipe.

        Products of the steps' ratios would add up their errors: start and end are measured in turn in one run.
        """
        kept = [place for place, row in enumerate(rows) if row.kept]
        changed = [place for place in kept[1:] if reshapes(self.steps[place - 1])]
        if self.clock is None or not changed:
            return tuple(rows)
        total = rows[changed[0]].speed
        if len(changed) > 1:
            with self.progress.step("the start against the end", numbered=False):
                found = self.clock.compare(stages[0], stages[-1])
            total = {name: each.speed for name, each in found.items() if each.speed is not None}
        last = dataclasses.replace(rows[kept[-1]], total=total)
        return (*rows[: kept[-1]], last, *rows[kept[-1] + 1 :])

    def _start(self) -> Stage:
        def make(work: Path | None) -> tuple[torch.nn.Module, Row]:
            from toolchain.compress.conditions import RUNS

            model, context = self.start(), self.context()
            RUNS.check(model, context, "the model before compression")
            return model, make_row(START, "", Outcome(model), context)

        with self.progress.step("judge the model before compression", numbered=False) as shown:
            stage = self.store.keep({"before": None, "step": START}, make)
            shown.cached = stage.cached
            if self.clock:
                self.clock.prepare(stage, self.steps)
        return stage

    def _step(
        self, before: Stage, options: StepOptions, number: int, rows: list[Row], shown: Step
    ) -> tuple[Stage, Row]:
        stage = self.store.keep(self._inputs(before, options, rows), self._make(before, options, number, rows, shown))
        shown.cached = stage.cached
        measured = self._measured(before, stage, options, rows)
        if len(rows) == 1:
            rows[0] = dataclasses.replace(rows[0], latency={name: each.before for name, each in measured.items()})
        wanted = self.clock.device(options.device) if self.clock else ""
        return stage, judged(before.row, stage.row, options, measured, wanted)

    def _measured(
        self, before: Stage, after: Stage, options: StepOptions, rows: Sequence[Row]
    ) -> Mapping[str, Comparison]:
        """Before against after; a step that only trained leaves the figures as they were."""
        if self.clock is None:
            return {}
        if reshapes(options):
            return self.clock.compare(before, after)
        known = next(row for row in reversed(rows) if row.kept).latency
        if not known:  # nothing was measured yet
            known = {name: each.before for name, each in self.clock.compare(before, before).items()}
        return {name: Comparison(metric, metric) for name, metric in known.items()}

    def _inputs(self, before: Stage, options: StepOptions, rows: Sequence[Row]) -> dict[str, Any]:
        timed = self.clock.identity(options.device) if self.clock and uses_clock(options) else None
        found = {"before": before.key, "step": options_key(options), "clock": timed}
        return {**found, "round to": self._rounding(options), "keep zeros": _keeps_zeros(options, rows)}

    def _make(
        self, before: Stage, options: StepOptions, number: int, rows: Sequence[Row], shown: Step
    ) -> Callable[[Path | None], tuple[torch.nn.Module, Row]]:
        def make(work: Path | None) -> tuple[torch.nn.Module, Row]:
            context = dataclasses.replace(
                self.context(),
                work=work,
                start=self.start(),
                progress=shown.update,
                latency=self.clock.seconds if self.clock else None,
                keep_zeros=_keeps_zeros(options, rows),
            )

            def run(multiple: int) -> Outcome:
                return run_step(before.model, options, dataclasses.replace(context, round_to=multiple))

            with named(number, options):
                outcome = rounded(run, self._rounding(options))
            return outcome.model, make_row(options.step, method_of(options), outcome, context)

        return make

    def _rounding(self, options: Any) -> Rounding:
        if options.step != "prune":
            return Rounding()
        return (
            Rounding(options.round_to, "the step's round_to", fixed=True)
            if options.round_to
            else self.rounding(options.device)
        )


def run_step(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """One step on a copy of the model, its conditions checked before and after.

    Raises:
        ModelError: a condition does not hold.
    """
    from toolchain.compress.conditions import after, before
    from toolchain.compress.steps import runner

    check_all(before(options), model, context, f"before '{options.step}'")
    outcome = runner(options)(copy.deepcopy(model), options, context)
    outcome.model.eval()
    check_all(after(options, model, context), outcome.model, context, f"after '{options.step}'")
    return outcome


def uses_clock(options: Any) -> bool:
    """Whether what the step makes depends on measured latencies."""
    chosen = getattr(options, "chosen", None)
    return getattr(options, "latency", None) is not None or (chosen is not None and "latency" in chosen.needs)


def _keeps_zeros(options: StepOptions, rows: Sequence[Row]) -> bool:
    """Whether zeros of an earlier step must survive this one's training; a step that makes zeros sees to its own."""
    made = any(row.kept and row.zeros > rows[0].zeros + _NOTABLE for row in rows)
    return made and options.step != "sparsify"


def _inputs(example: Any, data: Splits | None) -> Mapping[str, Array]:
    if isinstance(example, Mapping):
        return example
    if example is not None:
        return {"input": example.detach().cpu().numpy()}
    if data is None:
        raise ConfigError("compress needs an example input or data", next_step="give example_input=")
    if not len(data.train):
        raise DataError(
            "compress needs an example input", seen="an empty training part", next_step="give example_input="
        )
    return next(iter(data.train.samples()))
