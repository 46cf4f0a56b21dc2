"""What the user sees while work goes on: one line per step, and a bar for the one that runs.

Everything goes to standard error, so that standard output stays free for results. On a terminal the
running steps have a spinner, a bar and the time they took so far; elsewhere each step leaves one plain
line when it is done, and a word every ten seconds until then. ``rich`` is imported only for a terminal.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from profiles.units import format_quantity
from toolchain.streams import give_up

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Display
    from rich.progress import TaskID

#: Seconds between two words of a long step where there is no terminal.
PATIENCE = 10.0
#: Redraws per second: few, because drawing takes time from what is being measured on this machine.
REDRAWS = 4


class Step:
    """A step that is running; made by :meth:`Progress.step`.

    Attributes:
        cached: set it when the result was there already; the step's line says so.
    """

    def __init__(self, owner: Progress, label: str, total: float | None) -> None:
        self.cached = False
        self.label = label
        self._owner = owner
        self._total = total
        self._start = time.monotonic()
        self._spoke = self._start
        self._task = owner._show(label, total)

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._start

    def update(self, done: float, total: float | None = None, detail: str = "") -> None:
        """Say how far the step is; may be called from any thread, as often as one likes.

        Args:
            done: of ``total``, in any unit.
            total: where it was not known before, or has changed.
            detail: a few words, such as ``"epoch 3, accuracy 81 %"``.
        """
        self._total = self._total if total is None else total
        if self._task is not None:
            self._owner._move(self._task, done, self._total, f"{self.label}  {detail}".rstrip())
        elif time.monotonic() - self._spoke >= PATIENCE:
            self._spoke = time.monotonic()
            share = f"{done / self._total:.0%} " if self._total else ""
            words = f", {detail}" if detail else ""
            self._owner._write(f"{self.label} … {share}after {duration(self.elapsed)}{words}")

    def finish(self, *, failed: bool) -> None:
        """Take the bar away and leave the step's line."""
        if self._task is not None:
            self._owner._hide(self._task)
        took = duration(self.elapsed)
        ending = f"failed after {took}" if failed else took + (" (cached)" if self.cached else "")
        self._owner._write(f"{self.label} … {ending}")


class Progress:
    """Shows steps, possibly several at once from several threads.

    While it is entered on a terminal, the last lines of the screen are its own: print results afterwards.

    Args:
        quiet: show nothing at all.
        planned: how many steps there will be, for the count in front of each.
        stream: where plain lines go; standard error when not given.
        console: a rich console to use instead of ``stream``.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        planned: int | None = None,
        stream: TextIO | None = None,
        console: Console | None = None,
    ) -> None:
        self.planned = planned
        self._quiet = quiet
        self._stream = stream
        self._console = console
        self._display: Display | None = None
        self._numbers = itertools.count(1)
        self._guard = threading.RLock()
        self._open = threading.local()

    def __enter__(self) -> Self:
        if not self._quiet and self._is_terminal():
            self._display = self._make_display()
            self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None

    @contextlib.contextmanager
    def step(self, title: str, total: float | None = None, *, numbered: bool = True) -> Iterator[Step]:
        """Show a step while the block runs. One inside another (in the same thread) is indented and not counted.

        Args:
            title: in a few words, such as ``"export to ONNX"``.
            total: what :meth:`Step.update` counts up to, where that is known.
            numbered: False for what comes before the number of steps is known.
        """
        depth = getattr(self._open, "depth", 0)
        step = Step(self, f"{self._prefix(depth) if depth or numbered else ''}{title}", total)
        self._open.depth = depth + 1
        try:
            yield step
        except BaseException:
            step.finish(failed=True)
            raise
        else:
            step.finish(failed=False)
        finally:
            self._open.depth = depth

    def note(self, text: str) -> None:
        """A sentence that the user should see now."""
        self._write(f"note: {text}")

    def _prefix(self, depth: int) -> str:
        if depth:
            return "  " * depth + "  "
        number = next(self._numbers)
        return f"[{number}/{self.planned}] " if self.planned else f"[{number}] "

    def _is_terminal(self) -> bool:
        if self._console is not None:
            return self._console.is_terminal and not self._console.is_dumb_terminal
        return (self._stream or sys.stderr).isatty()

    def _make_display(self) -> Display:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Display

        if self._console is None:
            # a copy of the descriptor: the bar goes on while vendors' chatter on standard error is held back
            self._stream = self._stream or os.fdopen(os.dup(sys.stderr.fileno()), "w")
            self._console = Console(file=self._stream)
        return Display(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(show_speed=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            redirect_stdout=False,
            refresh_per_second=REDRAWS,
        )

    def _show(self, label: str, total: float | None) -> TaskID | None:
        return None if self._display is None else self._display.add_task(label, total=total)

    def _move(self, task: TaskID, done: float, total: float | None, label: str) -> None:
        if self._display is not None:
            self._display.update(task, completed=done, total=total, description=label)

    def _hide(self, task: TaskID) -> None:
        if self._display is not None:
            self._display.remove_task(task)

    def _write(self, line: str) -> None:
        if self._quiet:
            return
        with self._guard:
            if self._console is not None:
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
                return
            stream = self._stream or sys.stderr
            try:
                print(line, file=stream, flush=True)
            except BrokenPipeError:  # nobody looks any more, which is no reason to stop
                self._quiet = True
                give_up(stream)


def duration(seconds: float) -> str:
    """Elapsed time for people: ``"2.1 s"``, ``"1 min 5 s"``, ``"2 h 3 min"``."""
    if seconds < 59.5:
        return format_quantity(seconds, "s", 2)
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
