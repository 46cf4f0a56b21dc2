"""``edgewright fleet rollout``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from toolchain.cli.commands.fleet.state import add_channel, moment, opened_store, steering
from toolchain.cli.commands.fleet.wish import add_wish, told, wish_of
from toolchain.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from toolchain.fleet.store.overview import RolloutView

ACTS = {
    "pause": "let no more devices begin; resume goes on",
    "resume": "go on with a rollout that is paused",
    "abort": "stop for good: no more devices begin; those that already check or soak are not called back but commit or "
    "go back by themselves; those that have committed keep it, unless you say rollback",
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


def run(args: argparse.Namespace) -> int:
    """Carry out the act."""
    acts = {"start": _start, "status": _status, "approve": _approve, "explain": _explain}
    return acts.get(args.rollout_command, _act)(args)


def _start(args: argparse.Namespace) -> int:
    from profiles.errors import ConfigError
    from toolchain.fleet.home import open_home
    from toolchain.fleet.publish.pruning import check_whole
    from toolchain.fleet.trust.repository import Repository

    repository = Repository(open_home(args.home))
    known = repository.versions(args.product)
    if not known:
        raise ConfigError(f"{args.product} has no release", next_step="edgewright fleet publish")
    wish = wish_of(args, args.release or max(known))
    with steering(args, repository) as steer:
        remarks = steer.remarks(wish)
        begun = steer.start(wish, known=known, whole=lambda: check_whole(repository, args.product, wish.release))
    told(begun, remarks)
    return 0


def _act(args: argparse.Namespace) -> int:
    with steering(args) as steer:
        plan = steer.act(args.product, args.channel, args.rollout_command, args.why)
        begun = steer.not_called_back(args.product, args.channel)
    print_line(f"{plan.product}/{plan.channel}: version {plan.release} is {plan.state} (plan {plan.sequence})")
    for sentence in begun:
        print_line(sentence)
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
