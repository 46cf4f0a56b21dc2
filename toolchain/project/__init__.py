"""The project file ``edge.toml``: what it may say, and how it is read.

Nothing here is imported before it is used, because pydantic costs a tenth of a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain.project.device_section import DeviceEntry
    from toolchain.project.load import load_project, project_from_dict
    from toolchain.project.models import Project
    from toolchain.project.schema import project_schema, schema_text
    from toolchain.project.starter import starter_text
    from toolchain.project.steps import Step

__all__ = [
    "DeviceEntry",
    "Project",
    "Step",
    "load_project",
    "project_from_dict",
    "project_schema",
    "schema_text",
    "starter_text",
]
_HOMES = {
    "DeviceEntry": "device_section",
    "Project": "models",
    "Step": "steps",
    "load_project": "load",
    "project_from_dict": "load",
    "project_schema": "schema",
    "schema_text": "schema",
    "starter_text": "starter",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
