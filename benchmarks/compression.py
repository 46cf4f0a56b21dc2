"""Every compression method at a fixed point on CIFAR-10: accuracy, parameters, MACs, bytes, measured latency.

``python -m benchmarks compression`` does everything (hours on two cores). The parts can be run by themselves, and each
goes on where it was stopped: ``python -m benchmarks.compression train --device cuda --jobs 3`` on a machine with a
GPU, ``latency`` and ``write`` where the latencies are to be measured. ``restore`` takes up the runs that the page was
last written from, on a machine that has not done them itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.common import ROOT, cifar_folder
from benchmarks.compress_jobs import Site, failures, run_all
from benchmarks.compress_rows import Row, rows
from benchmarks.compress_runs import keep, restore

CLAIM = (
    "At a drop of at most 1 point, the best recipe leaves ResNet-20 at most 1 / 2.5 of its MACs, and its float model "
    "runs at least 1.7 times as fast on the same engine."
)
OUT = ROOT / "build" / "compression"


def run(rounds: int) -> list[str]:
    """Train what is missing, measure, write; returns missed goals."""
    failures(run_all(rows(), Site(OUT, f"parquet:{cifar_folder()}"), jobs=2))
    from benchmarks.compress_latency import measure_all
    from benchmarks.compress_page import write_page

    site = Site(OUT, "")
    measure_all(rows(), site, rounds)
    keep("compression", site)
    return write_page(rows(), site)


def chosen(every: list[Row], only: list[str] | None) -> list[Row]:
    """Rows that are named, or whose name contains a word that is none; in the order of ``every``."""
    names = {row.name for row in every}
    words = [word for word in only or () if word not in names]
    return [row for row in every if not only or row.name in only or any(word in row.name for word in words)]


def arguments(doc: str | None, name: str) -> argparse.Namespace:
    """The command line of the parts, which two benchmarks share."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=doc)
    parser.add_argument("part", choices=["train", "latency", "write", "list", "restore"])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--data", help="default: parquet: of the shared CIFAR-10")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", action="append", help="a row, or all whose name contains this; may be given again")
    parser.add_argument("--share", type=float, default=1.0, help="of all epochs, for quick looks")
    parser.add_argument("--half", action="store_true", help="keep models in half precision")
    parser.add_argument("--seconds", type=float, help="begin nothing new after so long")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def main() -> int:
    """One part."""
    args = arguments(__doc__, "compression")
    some = chosen(rows(), args.only)
    site = Site(args.out, args.data or "", args.device, args.share, args.half)
    if args.part == "list":
        print("\n".join(f"{row.name:30} {row.seeds} seeds  {row.family}" for row in some))
    elif args.part == "train":
        site = Site(args.out, args.data or f"parquet:{cifar_folder()}", args.device, args.share, args.half)
        deadline = None if args.seconds is None else time.monotonic() + args.seconds
        failed = run_all(some, site, jobs=args.jobs, deadline=deadline)
        failures(failed)
        return bool(failed)
    elif args.part == "latency":
        from benchmarks.compress_latency import measure_all

        measure_all(some, site, args.rounds)
    elif args.part == "restore":
        restore("compression", site)
    else:
        from benchmarks.compress_page import write_page

        keep("compression", site)
        return bool(write_page(rows(), site))
    return 0


if __name__ == "__main__":
    sys.exit(main())
