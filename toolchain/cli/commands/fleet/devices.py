"""``edgewright fleet devices``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from toolchain.cli.commands.fleet.state import labels_text, moment, opened_store
from toolchain.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from toolchain.fleet.store.rows import DeviceRow


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("action", choices=("list", "show", "revoke", "remove"), nargs="?", default="list")
    parser.add_argument("device", nargs="?", default="", metavar="DEVICE", help="for show, revoke and remove")
    parser.add_argument("--product", default="", metavar="NAME", help="only these")
    parser.add_argument("--channel", default="", metavar="NAME", help="only these")
    parser.add_argument("--json", action="store_true", help="print everything that is known")


def run(args: argparse.Namespace) -> int:
    """List devices, show one with its history, refuse one from now on, or forget one."""
    from profiles.errors import ConfigError

    if args.action != "list" and not args.device:
        raise ConfigError(f"wanted a device to {args.action}", seen="none", next_step="name it")
    return {"list": _list, "show": _show, "revoke": _revoke, "remove": _remove}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    import dataclasses

    with opened_store(args) as store:
        rows = store.devices(args.product, args.channel, args.device)
    if args.json:
        print_json([dataclasses.asdict(row) for row in rows])
        return 0
    columns = ["device", "product", "channel", "labels", "runs", "newest attempt", "checked in (UTC)", ""]
    print_table(columns, [_row(row) for row in rows], right=["runs"])
    return 0


def _row(row: DeviceRow) -> list[str]:
    return [
        row.device, row.product, row.channel, labels_text(dict(row.labels)), str(row.running or "–"), attempt_text(row),
        moment(row.seen), "revoked" if row.revoked is not None else "",
    ]  # fmt: skip


def attempt_text(row: DeviceRow) -> str:
    """``5: rolled-back (health)``."""
    if not row.release:
        return "–"
    end = row.outcome if row.outcome != "underway" else row.stage
    return f"{row.release}: {end}" + (f" ({row.reason})" if row.reason else "")


def _show(args: argparse.Namespace) -> int:
    import dataclasses

    with opened_store(args) as store:
        history = store.history(args.device)
        (row,) = store.devices(device=args.device)
    if args.json:
        print_json({**dataclasses.asdict(row), "history": [dataclasses.asdict(each) for each in history]})
        return 0
    print_table(["", ""], [[name, str(value)] for name, value in dataclasses.asdict(row).items()], title=args.device)
    cells = [
        [moment(each.seen), str(each.running), str(each.release), each.stage, each.outcome, each.reason, each.detail]
        for each in history
    ]
    print_table(["when (UTC)", "runs", "tried", "stage", "outcome", "reason", "detail"], cells, title="history")
    return 0


def _revoke(args: argparse.Namespace) -> int:
    import time

    with opened_store(args) as store:
        store.revoke(args.device, time.time())
    print_line(f"{args.device} is revoked: its reports are refused, and it counts in no rollout")
    return 0


def _remove(args: argparse.Namespace) -> int:
    with opened_store(args) as store:
        store.remove(args.device)
    print_line(f"{args.device} is forgotten; it may enrol again with a token")
    return 0
