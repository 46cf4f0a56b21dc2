"""Where the C sources are: beside the packages in a checkout, ``targets/kernels`` once installed."""

from __future__ import annotations

from pathlib import Path

_TARGETS = Path(__file__).resolve().parents[1]


def _root() -> Path:
    installed = _TARGETS / "kernels" / "cortex_m"
    return installed if installed.is_dir() else _TARGETS.parent / "kernels" / "cortex_m"


ROOT = _root()
INCLUDE, SOURCES, TEMPLATES = ROOT / "include", ROOT / "src", ROOT / "templates"
FIRMWARE = ROOT / "firmware"
