"""The options of commands that begin a rollout, and what they say when it has begun."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from profiles.arguments import count
from toolchain.cli.commands.fleet.state import duration
from toolchain.cli.output import print_line

if TYPE_CHECKING:
    from toolchain.fleet.documents.plan import Plan, Window
    from toolchain.fleet.server.steering import Wish


def add_wish(parser: argparse.ArgumentParser, *, release: bool = True, slower: str = "0.2") -> None:
    """Waves, gates and limits. Defaults of the gates are those of ``toolchain.fleet.rollout.policy.Policy``."""
    if release:
        parser.add_argument("--release", type=count, metavar="N", help="version (default: the newest)")
    add = parser.add_argument
    many: Any = {"action": "append", "default": []}
    add(
        "--wave",
        metavar="NAME=WHO",
        help="canary=5%%, canary=3 or lab=site:berlin; in order; percentages are of all devices and add up: 5%% and "
        "then 50%% are the first 5%% and the next 45%%; devices in none of the waves stay as they are, and the rollout "
        "is complete without them (default: all=100%%)",
        **many,
    )
    add("--committed", type=float, metavar="SHARE", help="of a wave before the next opens (default: 0.95)")
    add(
        "--errors",
        type=float,
        metavar="SHARE",
        help="of a wave that may go wrong; more stops everything (default: 0.05)",
    )
    add("--tolerated", type=int, metavar="N", help="devices of a wave that may go wrong in any case (default: 0)")
    add("--parity", type=float, metavar="SHARE", help="of a wave that may compute other numbers (default: 0.01)")
    add("--slower", type=float, metavar="SHARE", help=f"a wave's median latency may grow by this (default: {slower})")
    add("--soak", type=duration, metavar="TIME", help="watch a wave so long before the next (default: 5min)")
    add(
        "--silent",
        type=duration,
        metavar="TIME",
        help="who is not heard of for so long is silent, and does not count as committed (default: 24h)",
    )
    add(
        "--timeout",
        type=duration,
        metavar="TIME",
        help="a wave waits so long for devices that were silent when the rollout began; for those that fall silent "
        "later it waits until they are heard of, revoked or removed (default: 7d)",
    )
    add("--approve-before", metavar="WAVE", help="ask a person before this wave opens", **many)
    add("--device-soak", type=duration, default=60.0, metavar="TIME", help="on each device (default: 60)")
    add("--most-slower", type=float, metavar="SHARE", help="a device whose latency grows by more goes back")
    add(
        "--window",
        metavar="HH:MM-HH:MM[,DAY…]",
        help="when devices may install, UTC, such as 22:00-04:00,sat,sun",
        **many,
    )


def wish_of(args: argparse.Namespace, release: int, **defaults: float | None) -> Wish:
    """The rollout that the options mean; ``defaults`` are gates that the policy holds otherwise.

    Raises:
        ConfigError: they make no sense.
    """
    from profiles.errors import ConfigError
    from toolchain.fleet.rollout.acts import parse_wave
    from toolchain.fleet.rollout.policy import Policy
    from toolchain.fleet.server.steering import Wish

    names = ("committed", "errors", "tolerated", "parity", "slower", "soak", "silent", "timeout")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    try:
        policy = Policy(**{**defaults, **given}, approvals=tuple(args.approve_before))
        windows = tuple(_window(text) for text in args.window)
    except ValueError as error:
        raise ConfigError("this rollout makes no sense", seen=str(error)) from error
    waves = tuple(parse_wave(text) for text in args.wave or ["all=100%"])
    return Wish(args.product, args.channel, release, waves, policy, args.device_soak, windows, args.most_slower)


def _window(text: str) -> Window:
    from toolchain.fleet.documents.plan import Window

    times, *days = text.split(",")
    since, _, until = times.partition("-")
    return Window(since, until, tuple(days))


def told(plan: Plan, remarks: Sequence[str] = ()) -> None:
    """Say what was begun, and what a person should know of it."""
    waves = ", ".join(wave.name for wave in plan.waves)
    print_line(f"{plan.product}/{plan.channel}: version {plan.release}, waves: {waves} (plan {plan.sequence})")
    for remark in remarks:
        print_line(f"note: {remark}")
    print_line("the server opens the first wave: edgewright fleet serve; look on with: edgewright fleet rollout status")
