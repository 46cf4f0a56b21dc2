"""What the demo tells on the terminal."""

from __future__ import annotations

import time

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

#: Outcome of an attempt to a colour and a sign.
_SIGNS = {
    "committed": ("green", "✔"), "underway": ("cyan", "…"), "rolled-back": ("red", "↩"), "failed": ("red", "✘"),
    "refused": ("red", "✘"), "none": ("dim", "·"),
}  # fmt: skip
_STAGES = {
    "fetching": "downloads", "staged": "has everything", "checking": "checks the numbers and the latency",
    "switching": "switches", "soaking": "runs it, and watches its health", "rolling-back": "goes back",
}  # fmt: skip


class Story:
    """Acts, commands, and what devices do; with the time since the beginning."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.begun = time.monotonic()
        self._act = 0

    def _line(self, text: Text) -> None:
        """One entry: the time at the left, the text beside it, also where it needs several lines."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=7, justify="right", no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(f"{time.monotonic() - self.begun:.1f} s", style="dim"), text)
        self.console.print(grid)

    def title(self, text: str, note: str) -> None:
        """Once, at the top."""
        self.console.print(Panel(Text(note), title=f"[bold]{text}[/]", title_align="left", border_style="dim"))

    def act(self, text: str) -> None:
        """A new part of the story."""
        self._act += 1
        self.console.print(f"\n[bold]{self._act}  {text}[/]")

    def command(self, text: str) -> None:
        """A command as an operator types it."""
        self._line(Text.assemble(("$ ", "bold cyan"), (text, "bold")))

    def output(self, text: str, most: int) -> None:
        """What it printed: so many lines of it, cut where the window ends."""
        for line in [line for line in text.splitlines() if line.strip()][:most]:
            shown = Text(f"        {line.rstrip()}", style="dim")
            self.console.print(shown, no_wrap=True, overflow="ellipsis", crop=True)

    def say(self, text: str, style: str = "") -> None:
        """A sentence."""
        self._line(Text(text, style=style))

    def device(self, name: str, release: int, stage: str, outcome: str, why: str) -> None:
        """What a device does now."""
        colour, sign = _SIGNS.get(outcome, ("", "·"))
        words = _STAGES.get(stage, stage) if outcome == "underway" else outcome.replace("-", " ")
        line = Text.assemble((f"{sign} ", colour), (f"{name:<7}", "bold"), f"version {release}: ", (words, colour))
        self._line(line.append(f": {why}", "dim") if why else line)

    def rollout(self, text: str, *, stopped: bool = False) -> None:
        """What the rollout engine decided."""
        sign = ("■ ", "red") if stopped else ("▶ ", "magenta")
        self._line(Text.assemble(sign, ("fleet  ", "bold"), text))

    def table(self, columns: list[str], rows: list[list[str]]) -> None:
        """Rows of text."""
        table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.console.print(Padding(table, (0, 0, 0, 8)))

    def end(self, lines: list[str], *, good: bool) -> None:
        """How it ended."""
        title = f"[bold]{time.monotonic() - self.begun:.0f} s[/]"
        self.console.print(Panel(Text("\n".join(lines)), title=title, border_style="green" if good else "red"))
