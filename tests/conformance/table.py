"""The matrix as text for a terminal, and as a page of the documentation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

from conformance.boards import ARRAY, EMULATED
from conformance.cases import CASES
from conformance.expected import STEPS, Expected, InFloat, NotSupported, Steps
from conformance.matrix import ATOL, LEAST_SQNR, MOST_STEPS, RTOL, Cell, Judgement, columns

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
_SHORT = {Judgement.OK: "ok", Judgement.FAIL: "FAIL", Judgement.NOT_SUPPORTED: "n/s"}


def text_table(cells: Mapping[tuple[str, str, str], Cell]) -> list[str]:
    """Cases down, targets and precisions across; int8 with its SQNR in dB. Lines for a terminal."""
    cases = list(dict.fromkeys(case for case, _, _ in cells))
    shown = [column for column in columns() if any((case, *column) in cells for case in cases)]
    width = max(map(len, cases), default=0)
    groups = [(name, 8 * len(list(group))) for name, group in itertools.groupby(target for target, _ in shown)]
    lines = [" " * width + "".join(f"  {name:<{size - 2}}" for name, size in groups)]
    lines.append(" " * width + "".join(f"  {precision:<6}" for _, precision in shown))
    for case in cases:
        lines.append(f"{case:<{width}}" + "".join(f"  {_mark(cells.get((case, *column))):<6}" for column in shown))
    return [*(line.rstrip() for line in lines), "", totals(cells.values())]


def _mark(cell: Cell | None) -> str:
    if cell is None:
        return ""
    exact = cell.precision == "int8" and cell.judgement is Judgement.OK and cell.error is not None
    return f"ok {'exact' if cell.sqnr is None else f'{cell.sqnr:.0f}'}" if exact else _SHORT[cell.judgement]


def totals(cells: Iterable[Cell]) -> str:
    """``812 OK, 0 FAIL, 9 NOT_SUPPORTED``, and the int8 layers that ran in float."""
    listed = list(cells)
    counts = ", ".join(f"{sum(cell.judgement is kind for cell in listed)} {kind}" for kind in Judgement)
    compute = [cell for cell in listed if cell.precision == "int8"]
    total, floats = sum(sum(c.executed.values()) for c in compute), sum(c.in_float for c in compute)
    return f"{counts}; of {total} compute layers in int8 bundles {floats} ran in float"


def page(expected: Expected) -> str:
    """``docs/conformance.md``: what must hold, what does not, and why."""
    parts = [_INTRODUCTION, "## The matrix", _matrix(expected), "## Not supported"]
    parts.append(_list(f"{_cell(e)}: {e.why}." for e in expected.not_supported))
    parts += ["## Layers of int8 bundles that run in float", _FLOATS]
    parts.append(_list(f"{_cell(e)}: {_layers(e.layers)}. {_capital(e.why)}." for e in expected.in_float))
    parts.append("## More than two steps apart")
    parts.append(_list(f"{_cell(e)}: up to {e.most:g} steps. {_capital(e.why)}." for e in expected.steps))
    return "\n\n".join(parts) + "\n"


def _cell(entry: NotSupported | InFloat | Steps) -> str:
    precision = getattr(entry, "precision", "")
    return f"`{entry.case}` with {entry.target}{f' in {precision}' if precision else ''}"


def _matrix(expected: Expected) -> str:
    targets = list(dict.fromkeys(target for target, _ in columns()))
    lines = [f"| case | {' | '.join(targets)} |", "| --- |" + " --- |" * len(targets)]
    for case in CASES:
        verdicts = [_verdict(expected, case.name, target) for target in targets]
        lines.append(f"| `{case.name}` | {' | '.join(verdicts)} |")
    return "\n".join(lines)


def _verdict(expected: Expected, case: str, target: str) -> str:
    shown = [precision for name, precision in columns() if name == target]
    able = [precision for precision in shown if not expected.missing(case, target, precision)]
    return f"{Judgement.OK}: {' '.join(able)}" if able else str(Judgement.NOT_SUPPORTED)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items) or "None."


def _layers(count: int) -> str:
    return f"{count} layer{'s' if count > 1 else ''}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_INTRODUCTION = f"""# Conformance

Every target is asked to build every one of {len(CASES)} small networks in every precision that it has. The tests in
`tests/conformance` do it and compare; this page is written by `python -m tests.conformance --write`, and a
test keeps it current. `python -m tests.conformance` prints the matrix with the figures of your machine.

A cell is **OK** when the bundle computes what the torch module computes in float64 on samples that it
has not been calibrated with:

- fp32: within {RTOL["fp32"]:g} of the output's largest magnitude, plus {ATOL:g};
- fp16: within {RTOL["fp16"]:g}, bf16: within {RTOL["bf16"]:g};
- int8, calibrated with min-max on 16 samples: a signal to quantization noise ratio of at least
  {LEAST_SQNR:g} dB, and within {MOST_STEPS:g} steps of the output of what the quantized graph means. That is told by
  ONNX Runtime with all graph optimisations off, by OpenVINO with its low-precision kernels off, and by
  LiteRT's reference kernels. Firmware, run on an emulated Cortex-M55, must equal the reference kernels to the bit.
  Bundles for FPGAs run on an array of {ARRAY["lanes"]} x {ARRAY["lanes"]} in RTL simulation, with the rest on this
  machine, and are held against ONNX Runtime.

TensorRT's engines are compiled for the device `{EMULATED["tensorrt"]}` and not run: their outputs are those of
ONNX Runtime on the same graph, held against ONNX's own reference implementation; between int8 values that graph
computes in fp16, so {STEPS["tensorrt"]:g} steps are allowed. fp8 and int4 have tests of their own.

It is **NOT_SUPPORTED** when the exporter or `edgewright support` says no, with the reason, before anything is
compiled. Anything else is **FAIL**, a crash after `support` said yes included. There is none. The null
target computes a fixed function of its inputs, whatever the model; that function is what it is held to."""
_FLOATS = """The precision that ran is read back from the engine. Beyond what `edgewright support` says operator by
operator, these layers run in fp32 on x86 processors with VNNI:"""
