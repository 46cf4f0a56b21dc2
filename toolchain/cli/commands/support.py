"""``edgewright support``."""

from __future__ import annotations

import argparse

from toolchain.cli.common import add_model_options, read_project
from toolchain.cli.exit_codes import _CODES
from toolchain.cli.output import print_json, print_line, print_table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    add_model_options(parser, many=True)
    parser.add_argument("--all", action="store_true", help="list every operator, not only the doubtful ones")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Show the verdict; the exit code is 3 when a device cannot run the model."""
    from profiles.errors import UnsupportedError
    from toolchain.support import support

    project = read_project(args)
    reports = support(project)
    if args.json:
        print_json([report.as_dict() for report in reports])
    for report in [] if args.json else reports:
        _print(report, everything=args.all)
    return 0 if all(report.ok for report in reports) else _CODES[UnsupportedError]


def _print(report: object, *, everything: bool) -> None:
    from targets.base import SupportReport, Verdict

    assert isinstance(report, SupportReport)
    counts = {verdict: sum(op.verdict is verdict for op in report.ops) for verdict in Verdict}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    can = "can run" if report.ok else "cannot run"
    title = f"{report.device} with {report.target} in {report.precision}: {can} ({said})"
    rows = [
        [op.name, op.op, op.verdict.value, op.note]
        for op in report.ops
        if everything or op.verdict is not Verdict.NATIVE
    ]
    if rows:
        print_table(["operator", "type", "verdict", "why"], rows, title=title)
    else:
        print_line(title)
    for sentence in (*report.problems, *report.memory, *report.notes):
        print_line(f"  {sentence}")
