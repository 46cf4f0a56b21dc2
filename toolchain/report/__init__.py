"""``build/report.html``: one self-contained page made from what a build left behind."""

from toolchain.report.page import render_report, verdicts, write_report

__all__ = ["render_report", "verdicts", "write_report"]
