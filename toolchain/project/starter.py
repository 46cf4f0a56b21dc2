"""The project file that ``edgewright init`` writes; its text is ``starter.toml`` next to this file."""

from __future__ import annotations

from pathlib import Path


def starter_text() -> str:
    """A commented ``edge.toml`` that builds as it stands: a small net on the digits images."""
    return Path(__file__).with_name("starter.toml").read_text(encoding="utf-8")
