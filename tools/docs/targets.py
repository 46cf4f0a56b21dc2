"""What follows from the targets' own words: the table of targets, tolerances, and the zoo."""

from __future__ import annotations

import tomllib
from pathlib import Path

from profiles.device import PRECISIONS
from targets import golden
from targets.base import Target
from targets.registry import load_target, target_names
from toolchain.frontend.zoo import ZOO
from toolchain.steps.bundle import LEAST_SQNR_DB, LIMITS
from tools.docs.markdown import table

_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def overview() -> str:
    """One row per target."""
    extras = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    columns = ["target", "what it is", "reads", "precisions", "calibrators for int8", "installed by"]
    return table(columns, [_row(load_target(name), extras) for name in target_names()])


def _row(target: Target, extras: dict[str, list[str]]) -> list[str]:
    extra = target.name.replace("_", "-")
    install = f"`pip install '.[{extra}]'`" if extra in extras else "nothing to install"
    if target.programs:
        install += f", `apt-get install {' '.join(target.programs.values())}`"
    return [
        f"`{target.name}`",
        target.title,
        ", ".join(target.formats),
        ", ".join(target.precisions),
        ", ".join(target.calibrators),
        install,
    ]


def tolerances() -> str:
    """How far outputs may be off, when a bundle is built and when it is checked on a device."""
    columns = ["precision", "at build, against the float reference", "on a device, against the recorded outputs"]
    return table(columns, [[f"`{name}`", _at_build(name), _on_device(name)] for name in PRECISIONS])


def _at_build(precision: str) -> str:
    if precision not in LIMITS:
        return f"SQNR of at least {LEAST_SQNR_DB:g} dB"
    return f"{100 * LIMITS[precision]:g} % of the largest output"


def _on_device(precision: str) -> str:
    share = f"{100 * golden._SHARE[precision]:g} % of the largest output"
    return f"{golden._STEPS:g} quantization steps; {share} where outputs are float" if precision == "int8" else share


def zoo() -> str:
    """One row per built-in network."""
    rows = [
        [
            f"`zoo:{entry.name}`",
            entry.title,
            f"{'x'.join(map(str, entry.input_shape))} ({entry.layout})",
            f"{entry.stored:,}",
            f"{entry.macs:,}",
            entry.citation,
        ]
        for entry in ZOO.values()
    ]
    return table(["source", "network", "input", "stored numbers", "multiply-accumulates", "from"], rows)
