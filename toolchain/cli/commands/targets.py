"""``edgewright targets``."""

from __future__ import annotations

import argparse

from toolchain.cli.output import print_json, print_table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List the backends with formats, precisions and what is installed."""
    from targets.registry import load_target, missing_packages, target_names, tool_versions

    targets = [load_target(name) for name in target_names()]
    if args.json:
        print_json(
            [
                {
                    "name": target.name,
                    "title": target.title,
                    "formats": list(target.formats),
                    "precisions": list(target.precisions),
                    "calibrators": list(target.calibrators),
                    "packages": tool_versions(target),
                    "installed": not missing_packages(target),
                }
                for target in targets
            ]
        )
        return 0
    rows = [
        [
            target.name,
            target.title,
            ", ".join(target.formats),
            ", ".join(target.precisions),
            ", ".join(target.calibrators),
            ", ".join(f"{name} {found}" for name, found in tool_versions(target).items()) or "nothing",
        ]
        for target in targets
    ]
    print_table(["target", "what it is", "reads", "precisions", "calibrators", "packages"], rows)
    return 0
