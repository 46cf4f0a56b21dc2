"""Where the rules say that a channel is, there it is: compared with a run on channels that are their own numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from toolchain.compress.structured import groups_trace
from toolchain.compress.structured.groups_sizes import Size, plain, remembering
from toolchain.compress.structured.groups_tracer import Tracer

CHANNELS = 24
Rule = Callable[[nn.Module, torch.Tensor], torch.Tensor]


class Numbers(nn.Module):
    """Channel c of a (1, 24, 2, 3) tensor is the number c everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.arange(float(CHANNELS)))
        self.register_buffer("order", torch.randperm(CHANNELS, generator=torch.Generator().manual_seed(1)))
        self.three, self.parts = 3, [10, 14]

    def forward(self, rule: Rule) -> torch.Tensor:
        return rule(self, self.numbers.view(1, -1, 1, 1).expand(1, -1, 2, 3))


def _traced(rule: Rule) -> tuple[Tracer, torch.Tensor]:
    net = Numbers()
    tracer = Tracer(net, {})
    with torch.no_grad(), remembering(net), groups_trace._Dispatch(tracer), groups_trace._Functions(tracer):
        return tracer, net(rule)


def _misplaced(rule: Rule) -> tuple[int, int]:
    """Values at positions of which the rules say otherwise, and labelled positions."""
    tracer, out = _traced(rule)
    start = tracer.trace.weights[0].axes[0]
    units = tracer.trace.labels.roots(start)
    wrong, seen = 0, 0
    for dim, axis in enumerate(tracer.axes(out)):
        if axis is None:
            continue
        for position, unit in enumerate(tracer.trace.labels.roots(axis).tolist()):
            found = {int(v) for v in out.select(dim, position).flatten().tolist()}
            wrong += sum(units[channel] != unit for channel in found)
            seen += 1
    return wrong, seen


def _shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    b, c, h, w = x.size()
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).contiguous().view(b, c, h, w)


RULES: dict[str, Rule] = {
    "flatten": lambda net, x: x.flatten(1),
    "shuffle": lambda net, x: _shuffle(x, 3),
    "shuffle twice": lambda net, x: _shuffle(_shuffle(x, 2), 4),
    "to the last axis": lambda net, x: x.permute(0, 2, 3, 1).reshape(x.size(0), -1, x.size(1)),
    "halves swapped": lambda net, x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "parts swapped": lambda net, x: torch.cat(x.split(net.parts, 1)[::-1], 1),
    "quarter first": lambda net, x: torch.cat([x[:, x.size(1) // 4 :], x[:, : x.size(1) // 4]], 1),
    "narrow": lambda net, x: x.narrow(1, 0, x.size(1) // 2),
    "pixels": lambda net, x: F.pixel_shuffle(x, 2),
    "from pixels": lambda net, x: F.pixel_unshuffle(x[:, :, :, :2], 2),
    "patches": lambda net, x: F.unfold(x, 2),
    "torch shuffle": lambda net, x: F.channel_shuffle(x, 4),
    "flip": lambda net, x: x.flip(1),
    "repeat": lambda net, x: x.repeat(1, 3, 1, 1),
    "repeat each": lambda net, x: x.repeat_interleave(2, dim=1),
    "picked": lambda net, x: x.index_select(1, net.order),
    "picked by index": lambda net, x: x[:, net.order],
    "padded": lambda net, x: F.pad(x, (0, 0, 0, 0, 2, 1))[:, 2:-1],
    "stack and sum": lambda net, x: torch.stack([x, x], 2).mean(2),
    "heads": lambda net, x: x.flatten(2).view(1, net.three, -1, 6).transpose(1, 2).flatten(1, 2),
    "einsum": lambda net, x: torch.einsum("bchw,hk->bkwc", x, torch.eye(2)),
    "in place": lambda net, x: x.clone().add_(x),
}


MIXERS = ("shuffle", "halves swapped", "flip", "quarter first", "picked", "torch shuffle")


@pytest.mark.parametrize("name", [n for n in RULES if n != "in place"])
def test_every_channel_is_where_the_rule_says(name: str) -> None:
    wrong, seen = _misplaced(RULES[name])
    assert wrong == 0
    assert seen > 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(MIXERS), max_size=5))
def test_rules_one_after_another(names: list[str]) -> None:
    def rule(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        for name in names:
            x = RULES[name](net, x)
        return x

    assert _misplaced(rule) == (0, CHANNELS)


def _pins(rule: Rule) -> list[str]:
    tracer, _ = _traced(rule)
    return [reason for _, reason in tracer.trace.labels._pins]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (lambda net, x: x.view(1, 4, 6, 2, 3), "the constant"),
        (lambda net, x: x[:, :7], "cut at the constant 7"),
        (lambda net, x: x[:, 3], "single positions"),
        (lambda net, x: x[:, ::2], "every so many"),
        (lambda net, x: x.split(8, 1)[0], "parts of 8"),
        (lambda net, x: x.roll(1, 1), "rolled"),
        (lambda net, x: x.softmax(1), "softmax runs over it"),
        (lambda net, x: x.mean(1), "mean over it"),
        (lambda net, x: x.cumsum(1), "cumsum runs over it"),
        (lambda net, x: x + torch.ones(1, 24, 1, 1), "constant length"),
        (lambda net, x: torch.linalg.inv(x @ x.transpose(-1, -2) + torch.eye(2)), "no rule"),
    ],
)
def test_what_cannot_shrink_is_pinned_with_a_reason(rule: Rule, reason: str) -> None:
    found = _pins(rule)
    assert any(reason in why for why in found), found
    assert "test_handlers.py" in found[0]


def test_what_can_shrink_is_not_pinned() -> None:
    assert {name: _pins(rule) for name, rule in RULES.items() if _pins(rule)} == {}


def test_an_attribute_follows_its_axis() -> None:
    tracer, _ = _traced(lambda net, x: x.split(net.parts, 1)[0])
    assert {(a.key, a.item): len(axis) for a, axis in tracer.trace.attributes.items()} == {
        ("parts", 0): 10, ("parts", 1): 14
    }  # fmt: skip


def test_sizes_remember_where_they_come_from_and_compute_like_integers() -> None:
    seen: list[Size] = []

    def rule(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        c = x.shape[1]
        seen.extend([c, c // 4, c * 2 + 1, net.three])
        return x

    tracer, _ = _traced(rule)
    c, quarter, more, three = seen
    assert (c, quarter, more, three) == (24, 6, 49, 3)
    assert c.axis.tolist() == tracer.trace.weights[0].axes[0].tolist()  # type: ignore[union-attr]
    assert (quarter.divisor, more.computed, three.attribute.key) == (4, True, "three")  # type: ignore[union-attr]
    assert type(plain([c, (quarter,)])[0]) is int
    assert Numbers().three == 3
