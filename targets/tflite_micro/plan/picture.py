"""The memory plan as a picture: steps from left to right, addresses from bottom to top."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from targets.tflite_micro.plan.problem import Problem, Span
from targets.tflite_micro.plan.result import Plan
from targets.tflite_micro.plan.strips import Group, brief
from targets.tflite_micro.plan.view import Block, Kind, Shared, View, view_of

_WIDTH, _HEIGHT = 1040, 400  # of the area for blocks
_LEFT, _TOP, _RIGHT = 76, 92, 20
_ADVANCE = 6.1  # pixels per character of 11 px text
_KINDS: dict[Kind, str] = {
    "input": "input", "output": "output", "activation": "activation", "persistent": "state", "scratch": "scratch",
    "ring": "rows of fused calls",
}  # fmt: skip
_STYLE = """
.ew-memory { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif;
  --paper: #fffefb; --ink: #1c1e23; --soft: #575c66; --grid: #e9e5dc; --bound: #b0221c;
  --activation: #7fa6e8; --input: #6fc0b4; --output: #8fcf7f; --scratch: #f0b35c; --ring: #bd94e6; --persistent:
  #b5b9c1; }
@media (prefers-color-scheme: dark) { .ew-memory { --paper: #181c22; --ink: #e9eaec; --soft: #a2a9b4; --grid: #2c323b;
  --bound: #ff958b; --activation: #3f68ad; --input: #2a7d72; --output: #457f37; --scratch: #93641a; --ring: #7449a3;
  --persistent: #5b616c; } }
.ew-memory text { fill: var(--ink); }
.ew-memory .soft { fill: var(--soft); }
.ew-memory .head { font-size: 16px; font-weight: 620; }
.ew-memory .sub { font-size: 12px; fill: var(--soft); }
.ew-memory .grid { stroke: var(--grid); stroke-width: 1; }
.ew-memory .block { stroke: var(--paper); stroke-width: 1; }
.ew-memory .shared { fill: url(#ew-hatch); stroke: none; }
.ew-memory .line { stroke: var(--ink); stroke-width: 1.5; }
.ew-memory .bound { stroke: var(--bound); stroke-width: 1.5; stroke-dasharray: 6 4; }
.ew-memory .label { paint-order: stroke; stroke-width: 3px; stroke-linejoin: round; pointer-events: none; }
""" + "\n".join(
    f".ew-memory rect.{kind} {{ fill: var(--{kind}); }} .ew-memory text.{kind} {{ stroke: var(--{kind}); }}"
    for kind in _KINDS
)
_HATCH = """<defs><pattern id="ew-hatch" width="6" height="6" patternUnits="userSpaceOnUse"
patternTransform="rotate(45)"><path d="M0 0V6" style="stroke: var(--ink)" stroke-width="1.6" stroke-opacity=".4"/>
</pattern></defs>"""


def memory_svg(
    problem: Problem,
    plan: Plan,
    names: Mapping[int, str] | None = None,
    groups: Mapping[int, Group] | None = None,
    title: str = "Memory plan",
) -> str:
    """An SVG document; light or dark as the reader's system is, with a text for every rectangle.

    Args:
        problem: that the plan is for.
        plan: what was found.
        names: of tensors.
        groups: fused calls, by index of the step in the problem.
        title: what the arena belongs to.
    """
    chart = _Chart(view_of(problem, plan, names or {}, groups or {}), plan)
    return "\n".join(chart.document(title)) + "\n"


class _Chart:
    """Places in pixels."""

    def __init__(self, view: View, plan: Plan) -> None:
        self.view, self.plan = view, plan
        self.column = _WIDTH / (len(view.steps) + 2)
        self.scale = _HEIGHT / max(plan.arena, 1)
        self.base = _TOP + _HEIGHT
        self.slanted = self.column < 90
        self.named = self.column >= 14
        longest = max((len(brief(name)) for name in view.steps), default=0)
        self.foot = (20 + min(longest, 24) * _ADVANCE * 0.75 if self.slanted else 26) if self.named else 36

    def x(self, time: int) -> float:
        """Left edge of a time."""
        return _LEFT + (time + 1) * self.column

    def y(self, address: int) -> float:
        """Height of an address."""
        return self.base - address * self.scale

    def document(self, title: str) -> Iterator[str]:
        """All lines."""
        width, height = _LEFT + _WIDTH + _RIGHT, self.base + self.foot + 14
        plan = self.plan
        scope = "for any order of the steps" if plan.every_order else "for this order of the steps"
        head = f"{title}: {plan.arena:,} B"
        reached = "reached" if plan.arena == plan.lower_bound else f"{plan.arena - plan.lower_bound:,} B above it"
        sub = f"lower bound {plan.lower_bound:,} B {scope}: {reached} · {plan.method}"
        box = f'viewBox="0 0 {width} {height:.0f}"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" class="ew-memory" role="img" {box}>'
        yield f"<title>{_text(head)}</title>"
        yield f"<desc>{_text(f'{sub}. Steps from left to right, addresses from bottom to top.')}</desc>"
        yield f"<style>{_STYLE}</style>"
        yield _HATCH
        yield f'<rect width="{width}" height="{height:.0f}" style="fill: var(--paper)"/>'
        yield f'<text class="head" x="{_LEFT}" y="26">{_text(head)}</text>'
        yield f'<text class="sub" x="{_LEFT}" y="46">{_text(sub)}</text>'
        yield from self._legend()
        yield from self._axes()
        yield from (self._block(block) for block in self.view.blocks)
        yield from (self._shared(shared) for shared in self.view.shared)
        yield from filter(None, (self._label(block) for block in self.view.blocks))
        yield from self._limits()
        yield "</svg>"

    def _legend(self) -> Iterator[str]:
        kinds = dict.fromkeys(block.kind for block in self.view.blocks)
        entries: list[tuple[str, list[str]]] = [(_KINDS[kind], [kind]) for kind in _KINDS if kind in kinds]
        entries += [("written over an input as it is read", ["activation", "shared"])] * bool(self.view.shared)
        x = float(_LEFT)
        for word, styles in entries:
            for style in styles:
                yield f'<rect class="{style}" x="{x:.1f}" y="60" width="12" height="12"/>'
            yield f'<text x="{x + 17:.1f}" y="70">{word}</text>'
            x += 17 + len(word) * _ADVANCE + 14
        for style, word in self._lines():
            yield f'<path class="{style}" d="M{x:.1f} 66h20"/><text x="{x + 25:.1f}" y="70">{word}</text>'
            x += 25 + len(word) * _ADVANCE + 14

    def _lines(self) -> list[tuple[str, str]]:
        """Levels that are drawn: one line where the arena is the lower bound."""
        same = self.plan.arena == self.plan.lower_bound
        return [("line", "arena")] + [("bound", "lower bound")] * (not same)

    def _axes(self) -> Iterator[str]:
        for address in _ticks(self.plan.arena):
            y = self.y(address)
            yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_LEFT + _WIDTH}"/>'
            yield f'<text class="soft" text-anchor="end" x="{_LEFT - 8}" y="{y + 4:.1f}">{address:,} B</text>'
        if self.named:
            for time in range(-1, len(self.view.steps) + 1):
                yield self._step_name(time)
            return
        every = next(n for n in (5, 10, 20, 50, 100, 500, 1000) if n * self.column >= 28)
        for time in range(0, len(self.view.steps), every):
            x = self.x(time) + self.column / 2
            yield f'<text class="soft" text-anchor="middle" x="{x:.1f}" y="{self.base + 16}">{time}</text>'
        middle = _LEFT + _WIDTH / 2
        yield f'<text class="soft" text-anchor="middle" x="{middle:.1f}" y="{self.base + 34}">step</text>'

    def _step_name(self, time: int) -> str:
        inside = 0 <= time < len(self.view.steps)
        word = _short(brief(self.view.steps[time]), 24) if inside else "start" if time < 0 else "end"
        x, y = self.x(time) + self.column / 2, self.base + 15
        text = f"<title>{_text(self.view.when(time))}</title>{_text(word)}"
        if self.slanted:
            turn = f'text-anchor="end" transform="translate({x + 4:.1f} {y:.1f}) rotate(-48)"'
            return f'<text class="soft" {turn}>{text}</text>'
        return f'<text class="soft" text-anchor="middle" x="{x:.1f}" y="{y:.1f}">{text}</text>'

    def _rectangle(self, style: str, times: Span, bytes_: Span, words: str) -> str:
        x, width = self.x(times[0]), (times[1] - times[0] + 1) * self.column
        height = max((bytes_[1] - bytes_[0]) * self.scale, 1.2)
        place = f'x="{x:.2f}" y="{self.y(bytes_[0]) - height:.2f}" width="{width:.2f}" height="{height:.2f}"'
        return f'<rect class="{style}" {place}><title>{_text(words)}</title></rect>'

    def _block(self, block: Block) -> str:
        view = self.view
        until = "" if block.last == block.first else f" to {view.when(block.last)}"
        what = f"{block.name}: {_KINDS[block.kind]}, {block.size:,} B at {block.offset:,}"
        words = f"{what}, {view.when(block.first)}{until}"
        return self._rectangle(f"block {block.kind}", (block.first, block.last), (block.offset, block.end), words)

    def _shared(self, shared: Shared) -> str:
        words = f"{shared.size:,} B: {shared.after.name} is written over {shared.before.name} as it is read"
        return self._rectangle("shared", (shared.time,) * 2, (shared.offset, shared.offset + shared.size), words)

    def _label(self, block: Block) -> str:
        """The name, where there is room for it: beside what is shared with another block."""
        first = block.first + any(shared.after is block for shared in self.view.shared)
        last = block.last - any(shared.before is block for shared in self.view.shared)
        first = first if first <= last else block.first
        width, height = (last - first + 1) * self.column, block.size * self.scale
        upright = 14 <= width < min(9 * _ADVANCE, height)
        room = int(((height if upright else width) - 4) / _ADVANCE)
        name = brief(block.name)
        words = [f"{name} · {block.size:,} B", name] if block.key is not None else [f"{block.size:,} B"]
        if block.key is not None and room >= 6:
            words.append(_short(name, room))
        word = next((word for word in words if len(word) <= room), "")
        if not word or height < 14:
            return ""
        x, y = self.x(first) + width / 2, self.y(block.offset) - height / 2
        turn = f"translate({x + 4:.1f} {y:.1f}) rotate(-90)" if upright else f"translate({x:.1f} {y + 4:.1f})"
        return f'<text class="label {block.kind}" text-anchor="middle" transform="{turn}">{_text(word)}</text>'

    def _limits(self) -> Iterator[str]:
        sizes = {"line": self.plan.arena, "bound": self.plan.lower_bound}
        for style, word in self._lines():
            place = f'class="{style}" d="M{_LEFT} {self.y(sizes[style]):.1f}H{_LEFT + _WIDTH}"'
            yield f"<path {place}><title>{word}: {sizes[style]:,} B</title></path>"


def _text(words: str) -> str:
    """Words as XML may hold them."""
    return escape("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in words))


def _ticks(arena: int) -> list[int]:
    """About five multiples of a power of two, from 0 up to the arena."""
    step = 16
    while arena / step > 7:
        step *= 2
    return list(range(0, arena + 1, step))


def _short(name: str, room: int) -> str:
    """A name cut to a number of characters; its end says most."""
    return name if len(name) <= room else "…" + name[len(name) - max(room - 1, 1) :]
