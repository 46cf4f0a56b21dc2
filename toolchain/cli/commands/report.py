"""``edgewright report``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("folder", type=Path, nargs="?", default=Path("build"), help="an output folder (default: build)")


def run(args: argparse.Namespace) -> int:
    """Write the page again from what lies in the folder."""
    from toolchain.report import write_report

    print(f"wrote {write_report(args.folder)}", file=sys.stderr)
    return 0
