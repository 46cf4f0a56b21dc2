"""``edgewright devices``."""

from __future__ import annotations

import argparse

from toolchain.cli.output import print_json, print_table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("--json", action="store_true", help="print everything that the profiles say")


def run(args: argparse.Namespace) -> int:
    """List the profiles, and say which of them this release can serve."""
    from profiles.device import device_names, load_device
    from profiles.units import format_quantity
    from targets.registry import TARGETS

    devices = [load_device(name) for name in device_names()]
    if args.json:
        print_json([{**device.as_dict(), "served": bool(set(device.targets) & set(TARGETS))} for device in devices])
        return 0
    rows = []
    for device in devices:
        present = [name for name in device.targets if name in TARGETS]
        absent = [f"{name} (not in this release)" for name in device.targets if name not in TARGETS]
        ram = device.memory("ram")
        rows.append(
            [
                device.name,
                device.title,
                ", ".join([*present, *absent]),
                ", ".join(device.formats),
                format_quantity(ram, "B") if ram else "–",
                device.reach,
            ]
        )
    print_table(
        ["device", "what it is", "targets, best first", "computes in", "RAM", "reached by"], rows, right=["RAM"]
    )
    return 0
