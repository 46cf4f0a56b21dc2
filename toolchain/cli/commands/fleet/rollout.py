"""``edgewright fleet rollout``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from profiles.arguments import count
from toolchain.cli.commands.fleet.state import add_channel, duration, moment, opened_store, steering
from toolchain.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from toolchain.fleet.documents.plan import Plan, Window
    from toolchain.fleet.server.steering import Wish
    from toolchain.fleet.store.overview import RolloutView

ACTS = {
    "pause": "let no more devices begin; resume goes on",
    "resume": "go on with a rollout that is paused",
    "abort": "stop for good: no more devices begin; those that already check or soak finish by themselves",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is done to rollouts, each with its options."""
    commands = parser.add_subparsers(dest="rollout_command", metavar="ACT", required=True, parser_class=type(parser))

    def add(name: str, text: str) -> argparse.ArgumentParser:
        child = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        child.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return child

    start = add("start", "begin to bring a release to a channel, wave by wave")
    add_channel(start)
    add_wish(start)
    status = add("status", "show the rollouts, their waves and what they wait for")
    status.add_argument("--json", action="store_true", help="print everything that the status page shows")
    for name, text in ACTS.items():
        child = add(name, text)
        add_channel(child)
        child.add_argument("--why", default="", help="for the log")
    approve = add("approve", "agree that a wave opens")
    add_channel(approve)
    approve.add_argument("wave", metavar="WAVE")
    explain = add("explain", "say why a device installs, or does not")
    explain.add_argument("device", metavar="DEVICE")
    explain.add_argument("--json", action="store_true", help="print JSON")


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
        "then 50%% are the first 5%% and the next 45%% (default: all=100%%)",
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
    add("--silent", type=duration, metavar="TIME", help="not heard of for so long is silent (default: 24h)")
    add("--timeout", type=duration, metavar="TIME", help="wait so long for silent devices (default: 7d)")
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


def run(args: argparse.Namespace) -> int:
    """Carry out the act."""
    acts = {"start": _start, "status": _status, "approve": _approve, "explain": _explain}
    return acts.get(args.rollout_command, _act)(args)


def _start(args: argparse.Namespace) -> int:
    from profiles.errors import ConfigError
    from toolchain.fleet.home import open_home
    from toolchain.fleet.trust.repository import Repository

    repository = Repository(open_home(args.home))
    known = repository.versions(args.product)
    if not known:
        raise ConfigError(f"{args.product} has no release", next_step="edgewright fleet publish")
    wish = wish_of(args, args.release or max(known))
    with steering(args, repository) as steer:
        told(steer.start(wish, known=known))
    return 0


def told(plan: Plan) -> None:
    """Say what was begun."""
    waves = ", ".join(wave.name for wave in plan.waves)
    print_line(f"{plan.product}/{plan.channel}: version {plan.release}, waves: {waves} (plan {plan.sequence})")
    print_line("the server opens the first wave: edgewright fleet serve; look on with: edgewright fleet rollout status")


def _act(args: argparse.Namespace) -> int:
    with steering(args) as steer:
        plan = steer.act(args.product, args.channel, args.rollout_command, args.why)
    print_line(f"{plan.product}/{plan.channel}: version {plan.release} is {plan.state} (plan {plan.sequence})")
    return 0


def _approve(args: argparse.Namespace) -> int:
    with steering(args) as steer:
        steer.approve(args.product, args.channel, args.wave)
    print_line(f"wave '{args.wave}' may open when the gate before it is met")
    return 0


def _explain(args: argparse.Namespace) -> int:
    with steering(args) as steer:
        lines = steer.explain(args.device)
    if args.json:
        print_json({"device": args.device, "why": lines})
        return 0
    for line in lines:
        print_line(line)
    return 0


def _status(args: argparse.Namespace) -> int:
    import dataclasses
    import time

    with opened_store(args) as store:
        shown = store.overview(time.time())
    if args.json:
        print_json(dataclasses.asdict(shown))
        return 0
    print_line(f"{shown.devices} devices, {shown.heard} heard within the last hour, {shown.never} never")
    for view in shown.rollouts:
        _print(view)
    return 0


def _print(view: RolloutView) -> None:
    title = f"{view.product}/{view.channel}: version {view.release}, {view.state}, since {moment(view.started)} UTC"
    columns = ["wave", "who", "", "devices", "committed", "underway", "waiting", "wrong", "held up", "no fit", "silent"]
    cells = [
        [
            each.name, each.who, "open" if each.open else "closed",
            *(str(getattr(each, name)) for name in ("devices", "committed", "underway", "waiting", "troubled")),
            *(str(getattr(each, name)) for name in ("held_up", "refused", "silent")),
        ]
        for each in view.waves
    ]  # fmt: skip
    print_table(columns, cells, title=title, right=columns[3:])
    for trouble in view.troubles[:10]:
        print_line(f"  {trouble.device}: {trouble.outcome} ({trouble.reason or 'silent'}): {trouble.detail}")
    print_line(f"  next: {view.next_step}")
