"""``python -m tests.conformance``: compute the matrix on this machine and print it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conformance.cases import CASES
from conformance.expected import load_expected
from conformance.matrix import Judgement, columns
from conformance.run import Matrix, compile_here
from conformance.table import PAGE, page, text_table

from profiles.device import load_device
from targets.registry import target_names


def main() -> int:
    """The exit code is 1 when a cell fails."""
    options = _parser().parse_args()
    if options.write:
        PAGE.write_text(page(load_expected()))
        print(f"wrote {PAGE}")
        return 0
    names = options.case or [case.name for case in CASES]
    wanted = [column for column in columns() if column[0] in options.target and column[1] in options.precision]
    device = dataclasses.replace(load_device("local-cpu"), parameters={"threads": 1, "tuning_seconds": 0})
    with tempfile.TemporaryDirectory() as folder, compile_here():
        matrix = Matrix(Path(folder), device)
        matrix.subjects.order(names)
        for case in names:
            print(f"{case} …", file=sys.stderr)
            for column in wanted:
                matrix.cell(case, *column)
        matrix.subjects.close()
    _print(matrix, as_json=options.json)
    return int(any(cell.judgement is Judgement.FAIL for cell in matrix.cells.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], metavar="NAME")
    parser.add_argument("--target", nargs="+", choices=target_names(), default=target_names())
    precisions = sorted({precision for _, precision in columns()})
    parser.add_argument("--precision", nargs="+", choices=precisions, default=precisions)
    parser.add_argument("--json", action="store_true", help="print every figure as JSON")
    parser.add_argument("--write", action="store_true", help="only write docs/conformance.md")
    return parser


def _print(matrix: Matrix, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([dataclasses.asdict(cell) for cell in matrix.cells.values()], indent=1))
        return
    print("\n".join(text_table(matrix.cells)))
    for cell in matrix.cells.values():
        if cell.judgement is not Judgement.OK:
            print(f"{cell.judgement} {cell.case} {cell.target} {cell.precision}: {cell.reason}")


if __name__ == "__main__":
    sys.exit(main())
