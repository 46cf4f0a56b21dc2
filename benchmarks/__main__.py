"""``python -m benchmarks [NAME …]``: run all benchmarks, or those named, and write ``docs/results/NAME.{md,json}``."""

from __future__ import annotations

import argparse
import importlib
import sys

NAMES = (
    *("int8", "vendor", "memory", "cortex_m", "fuzz_tflite", "gpu", "placement"),
    *("prune_coverage", "networks", "compression", "kd_pruning", "fpga", "tvm_cpu", "fleet"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"which ones (default: all): {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default: 7)")
    args = parser.parse_args()
    missed = []
    for name in args.names or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"=== {name}: {module.CLAIM}", file=sys.stderr)
        missed += [f"{name}: {sentence}" for sentence in module.run(args.rounds)]
    for sentence in missed:
        print(f"goal missed: {sentence}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
