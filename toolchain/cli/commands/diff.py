"""``edgewright diff``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from profiles.arguments import count
from profiles.errors import ConfigError
from profiles.measurement import Kind
from toolchain.cli.output import MARKS, legend, print_json, print_line, print_table, show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("bundle", type=Path, help="a quantized bundle")
    parser.add_argument("--top", type=count, metavar="N", help="only the N worst layers")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Layers by SQNR, worst first, as computed on golden samples when the bundle was built."""
    rows = worst_first(layers(args.bundle))[: args.top]
    if args.json:
        print_json(rows)
        return 0
    table = [[row["name"], row["op"], show(row["sqnr"]), _error(row)] for row in rows]
    print_table(["layer", "operator", "SQNR", "largest error"], table, right=["SQNR", "largest error"])
    explained = legend(Kind(row[name]["kind"]) for row in rows for name in ("sqnr", "max_error"))
    print_line("; ".join(filter(None, [f"{rows[0]['max_error']['method']}; worst first", explained])))
    return 0


def layers(bundle: Path) -> list[dict[str, Any]]:
    """``layers.json`` of a verified bundle.

    Raises:
        ConfigError: the bundle is not a quantized one, or was quantized elsewhere.
    """
    from targets.artifact import load_artifact
    from targets.base import QUANTIZED
    from toolchain.steps.figures import layer_rows

    artifact = load_artifact(bundle)
    rows = layer_rows(bundle)
    if not rows:
        quantized = artifact.precision in QUANTIZED
        why = "made from a file that was quantized already" if quantized else "not quantized"
        raise ConfigError(
            f"{bundle} has no float model to compare with",
            seen=f"a {artifact.precision} bundle, {why}",
            allowed=f"{' or '.join(QUANTIZED)} bundles built from a float model",
            next_step="build one with --precision int8 and --data",
        )
    return rows


def _error(row: dict[str, Any]) -> str:
    """The largest error, with its mark."""
    return f"{row['max_error']['value']:.4g}{MARKS[Kind(row['max_error']['kind'])]}"


def worst_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lowest SQNR first; layers without noise last."""
    return sorted(rows, key=lambda row: (row["sqnr"]["value"] is None, row["sqnr"]["value"] or 0.0))
