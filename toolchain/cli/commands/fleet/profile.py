"""``edgewright fleet profile``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from profiles.arguments import count, seconds
from toolchain.cli.output import print_json, print_line, print_table, show

if TYPE_CHECKING:
    from toolchain.fleet.profile.gather import Gathered, Measured

#: Exit code if some devices gave no profile, as for any device that cannot be reached.
SOME_FAILED = 7


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("bundle", type=Path, nargs="?", help="a bundle folder (default: what each device runs)")
    parser.add_argument(
        "--fleet",
        action="append",
        default=[],
        metavar="LABEL=VALUE",
        help="only devices with this label (may be repeated)",
    )
    parser.add_argument("--inventory", type=Path, metavar="FILE", help="an Ansible inventory (default: the fleet's)")
    parser.add_argument("--python", default="", metavar="PATH", help="Python on the devices (default: the inventory's)")
    parser.add_argument(
        "--seconds", type=seconds, default=1.0, metavar="S", help="measure at least this long (default: 1)"
    )
    parser.add_argument("--forks", type=count, default=10, metavar="N", help="devices at a time (default: 10)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Measure on many devices, print one table, and mark who is out of line."""
    from toolchain.fleet.profile.gather import Order, measure, parse_labels

    found = measure(
        Order(
            args.home,
            args.bundle,
            parse_labels(args.fleet),
            args.inventory,
            args.python,
            args.seconds,
            args.forks,
        )
    )
    if args.json:
        print_json(found.as_dict())
    else:
        _print(found)
    return SOME_FAILED if found.failed else 0


def _print(found: Gathered) -> None:
    from profiles.units import format_quantity
    from toolchain.fleet.profile.spread import RULE

    columns = ["device", "model", "p50", "against its model", "p99", "memory", "energy"]
    print_table(columns, [_row(found, each) for each in found.devices], right=columns[2:])
    rows = [
        [model, str(spread.devices), *(format_quantity(value, "s") for value in spread.quantiles)]
        for model, spread in found.spreads.items()
    ]
    numbers = ["devices", "fastest", "25 %", "median", "75 %", "slowest"]
    print_table(["model", *numbers], rows, title="p50 across devices of one model", right=numbers)
    print_line(f"* {RULE}" if found.marked else f"nobody is out of line ({RULE})")
    for device, reason in sorted(found.failed.items()):
        print_line(f"no profile: {device}: {reason}")


def _row(found: Gathered, each: Measured) -> list[str]:
    value, middle = float(each.metrics["latency_p50"].value or 0.0), found.spreads[each.model].median
    off = f"{value / middle - 1:+.1%}".replace("-", "−") if middle else "–"
    return [
        each.device,
        each.model,
        show(each.metrics["latency_p50"]) + (" !" if each.stable is False else ""),
        f"{off} *" if each.device in found.marked else off,
        *(show(each.metrics.get(name)) for name in ("latency_p99", "peak_memory", "energy")),
    ]
