"""``edgewright doctor``."""

from __future__ import annotations

import argparse

from toolchain.cli.output import print_json, print_table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--strict", action="store_true", help="exit with 5 when anything is missing")


def run(args: argparse.Namespace) -> int:
    """What is there, what is missing, and the exact command that installs it."""
    from toolchain.doctor import examine

    findings = examine()
    if args.json:
        print_json([finding.as_dict() for finding in findings])
    else:
        rows = [[f.name, f.purpose, f.found or "missing", f.command if not f.found else ""] for f in findings]
        print_table(["what", "for", "found", "to install it"], rows)
    return 5 if args.strict and any(not finding.found for finding in findings) else 0
