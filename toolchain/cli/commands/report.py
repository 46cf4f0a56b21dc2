"""``edgewright report``."""

from __future__ import annotations

import argparse
from pathlib import Path

from toolchain.streams import tell


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("folder", type=Path, nargs="?", default=Path("build"), help="an output folder (default: build)")


def run(args: argparse.Namespace) -> int:
    """Write the page again from what lies in the folder."""
    from toolchain.report import write_report

    tell(f"wrote {write_report(args.folder)}")
    return 0
