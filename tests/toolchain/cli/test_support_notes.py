"""``edgewright support`` ends with what else a target has to say: DLA eligibility, reformats, who was asked."""

from __future__ import annotations

from targets.base import OpSupport, SupportReport, Verdict
from toolchain.cli.commands.support import _print


def test_notes_come_last_and_change_no_verdict(capsys):
    ops = (OpSupport("stem", "Conv", Verdict.NATIVE),)
    notes = ("2 of 3 layers can run on the DLA", "asked: the ONNX parser of TensorRT 10.3")
    _print(SupportReport("tensorrt", "jetson-orin-nano", "int8", ops, memory=("fits",), notes=notes), everything=False)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["jetson-orin-nano with tensorrt in int8: can run (1 native)", "fits", *notes]
