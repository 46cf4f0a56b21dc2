from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profiles.errors import ConfigError
from toolchain.project import Project, load_project

MODEL = '[model]\nsource = "zoo:resnet8"\n'


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Project]:
    """Write a text as edge.toml and load it."""

    def load_text(text: str, **options: Any) -> Project:
        path = tmp_path / "edge.toml"
        path.write_text(text, encoding="utf-8")
        return load_project(path, **options)

    return load_text


@pytest.fixture
def refusal(load: Callable[..., Project], tmp_path: Path) -> Callable[..., ConfigError]:
    """The error that loading a text gives, with the folder taken out of its message."""

    def refused(text: str, **options: Any) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            load(text, **options)
        error = caught.value
        wanted = error.wanted.replace(f"{tmp_path}/", "")
        return ConfigError(wanted, seen=error.seen, allowed=error.allowed, next_step=error.next_step)

    return refused
