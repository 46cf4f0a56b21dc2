"""``edgewright cache``."""

from __future__ import annotations

import argparse

from toolchain.cli.output import print_json, print_line


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("action", choices=("show", "clear"), nargs="?", default="show")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Where the cache is, how large it is; or remove what nobody uses."""
    from profiles.units import format_quantity
    from toolchain.cache import open_cache

    with open_cache() as cache:
        removed = cache.clear() if args.action == "clear" else 0
        facts = {"path": str(cache.root), "entries": cache.count(), "bytes": cache.size(), "removed": removed}
        words = f"{cache.root}: {cache.count()} entries, {format_quantity(cache.size(), 'B')}"
    if args.json:
        print_json(facts)
    else:
        print_line(words + (f", {removed} removed" if removed else ""))
    return 0
