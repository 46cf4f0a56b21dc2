"""Cortex-M: instructions, arena, code and flash against TFLM with CMSIS-NN; accuracy of the firmware on CIFAR-10."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import toolchain
from benchmarks.common import ROOT, WEIGHTS, Table, cifar_folder, say, write
from benchmarks.cortex_m_host import correct_on_host
from profiles.errors import DataError
from toolchain.project import project_from_dict

CLAIM = (
    "Simulated by QEMU, against TFLM with CMSIS-NN: at most 0.75 of the instructions, 0.70 of the arena, 0.20 of the "
    "code; and the firmware is as accurate as the same int8 model on the host, exactly."
)
MODELS = ROOT.parent / "shared" / "models" / "mlperf_tiny"
CORES = {"M3": "cortex-m3-an385", "M4": "cortex-m4-an386", "M7": "cortex-m7-an500", "M33": "cortex-m33-an505",
         "M55": "cortex-m55-an547"}  # fmt: skip
IMAGES = 500


@dataclasses.dataclass(frozen=True)
class Anchor:
    """TFLM with CMSIS-NN, release flags, gcc 12.2, same QEMU: instructions; B of arena, code, code at -Os, flash."""

    instructions: float
    arena: int
    code: int
    code_small: int
    flash: int


ANCHORS = {
    ("ic_resnet8_int8", "M4"): Anchor(29.86e6, 54_996, 51_252, 43_348, 149_748),
    ("ic_resnet8_int8", "M55"): Anchor(4.81e6, 55_028, 41_524, 38_172, 140_020),
    ("kws_dscnn_int8", "M4"): Anchor(7.70e6, 22_820, 53_448, 46_184, 107_384),
    ("kws_dscnn_int8", "M55"): Anchor(1.78e6, 27_348, 44_788, 41_276, 98_724),
}
#: Weights, biases and requantization constants at 1 B per weight and 9 B per channel.
CONSTANTS = {"ic_resnet8_int8": 80_429, "kws_dscnn_int8": 27_253}
GOALS = {"instructions": 0.75, "arena": 0.70, "code_size": 0.20}


def run(rounds: int) -> list[str]:
    """Build and count; ``rounds`` is not needed, because counts do not vary. Returns missed goals."""
    found = {(model, core): _figures(model, core) for model in CONSTANTS for core in CORES}
    accuracy = {core: _accuracy(core) for core in ("M4", "M55")}
    _write(found, accuracy)
    missed = [sentence for key, figures in found.items() for sentence in _missed(key, figures)]
    return missed + [
        f"{core}: firmware {row['firmware']}, host {row['host']} of {IMAGES}"
        for core, row in accuracy.items()
        if row["firmware"] != row["host"]
    ]


def _figures(model: str, core: str) -> dict[str, Any]:
    say(f"{model} on {core}")
    path = MODELS / f"{model}.tflite"
    if not path.is_file():
        raise DataError("this benchmark needs the MLPerf Tiny models", seen=f"no {path}", next_step="put them there")
    project = project_from_dict(
        {"model": {"source": str(path)}, "device": [{"profile": CORES[core], "precision": "int8"}]}
    )
    with tempfile.TemporaryDirectory() as folder:
        entry = toolchain.build(project, out=Path(folder)).entries[0]
    names = ("instructions", "instructions_mve", "cycles", "arena", "code_size", "weights_size", "flash", "stack")
    return {
        **{name: entry.metrics[name].value for name in (*names, "init_instructions")},
        "layers": [
            {"name": row["name"], "op": row["op"], "instructions": row.get("instructions", {}).get("value")}
            for row in entry.layers
        ],
    }


def _accuracy(core: str) -> dict[str, int]:
    """Correct answers of the firmware under QEMU, and of LiteRT's reference kernels on the same file."""
    say(f"accuracy on {core}, {IMAGES} images")
    data = {"source": f"parquet:{cifar_folder()}", "calibration": 64, "test": IMAGES}
    device = {"profile": CORES[core], "precision": "int8"}
    project = project_from_dict(
        {"model": {"source": "zoo:resnet8", "weights": str(WEIGHTS)}, "data": data, "device": [device]}
    )
    with tempfile.TemporaryDirectory() as folder:
        entry = toolchain.build(project, out=Path(folder), profile=False).entries[0]
        firmware = round((entry.metrics["accuracy"].value or 0.0) * IMAGES)
        return {"firmware": firmware, "host": correct_on_host(entry.bundle, project)}


def _missed(key: tuple[str, str], found: dict[str, Any]) -> list[str]:
    anchor = ANCHORS.get(key)
    if anchor is None:
        return []
    against = {"instructions": anchor.instructions, "arena": anchor.arena, "code_size": anchor.code}
    ratios = {name: found[name] / value for name, value in against.items()}
    model, core = key
    missed = [
        f"{model} on {core}: {name} {ratios[name]:.2f}, goal {GOALS[name]}"
        for name in GOALS
        if ratios[name] > GOALS[name]
    ]
    if found["weights_size"] > CONSTANTS[model]:
        missed.append(f"{model} on {core}: constants {found['weights_size']:.0f} B, goal {CONSTANTS[model]}")
    return missed


def _write(found: dict[tuple[str, str], dict[str, Any]], accuracy: dict[str, dict[str, int]]) -> None:
    columns = ["model", "core", "M instructions", "of TFLM", "arena B", "of TFLM", "code B", "of TFLM (-Os)",
               "constants B", "flash B", "of TFLM", "init"]  # fmt: skip
    rows = [_row(model, core, row) for (model, core), row in found.items()]
    notes = [
        "Simulated: instructions executed under QEMU 7.2, counted by a TCG plugin; not cycles. gcc 12.2, -O2, and -Os "
        "for what is not hot (`targets/tflite_micro/firmware/flags.py`).",
        "TFLM with CMSIS-NN: release flags, gcc 12.2, the same method, init excluded; code as it comes and with -Os. "
        "Its figures were taken once and are constants in `benchmarks/cortex_m.py`; there are none for M3, M7 and M33.",
        "Code: kernels, generated code, start-up and the serial protocol. Constants: weights, biases, multipliers, "
        "shifts, tables, and the bytes that align them.",
        f"Accuracy of our ResNet-8 on {IMAGES} CIFAR-10 test images, correct answers of the firmware under QEMU and of "
        f"LiteRT's reference kernels on the host: {'; '.join(_correct(core, row) for core, row in accuracy.items())}.",
    ]  # fmt: skip
    data = {"models": [{"model": m, "core": c, **row} for (m, c), row in found.items()], "accuracy": accuracy}
    write("cortex_m", "Cortex-M against TFLM with CMSIS-NN", CLAIM, Table(columns, rows, notes), data)


def _correct(core: str, row: dict[str, int]) -> str:
    return f"{core} {row['firmware']} and {row['host']}"


def _row(model: str, core: str, found: dict[str, Any]) -> list[str]:
    anchor = ANCHORS.get((model, core))

    def ratio(value: float, of: float | None) -> str:
        return f"**{value / of:.2f}**" if of else "–"

    small = f" ({found['code_size'] / anchor.code_small:.2f})" if anchor else ""
    return [
        model, core,
        f"{found['instructions'] / 1e6:.2f}", ratio(found["instructions"], anchor and anchor.instructions),
        f"{found['arena']:,.0f}", ratio(found["arena"], anchor and anchor.arena),
        f"{found['code_size']:,.0f}", ratio(found["code_size"], anchor and anchor.code) + small,
        f"{found['weights_size']:,.0f}",
        f"{found['flash']:,.0f}", ratio(found["flash"], anchor and anchor.flash),
        f"{found['init_instructions']:,.0f}",
    ]  # fmt: skip
