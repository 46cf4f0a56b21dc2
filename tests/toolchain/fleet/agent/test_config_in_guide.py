"""The ``agent.toml`` in the guide: it can be read, has every key, and says the defaults as they are."""

import dataclasses
from pathlib import Path

import pytest

from toolchain.fleet.agent.config import Config, read_config
from tools.docs.markdown import blocks

GUIDE = Path(__file__).resolve().parents[4] / "docs" / "guide" / "fleet.md"
#: Examples, or different on every device.
OWN = {"device", "product", "channel", "repository", "folder", "public_root", "health", "labels", "provides", "python"}
ELSEWHERE = {"gateway", "home"}


@pytest.fixture
def shown(tmp_path):
    text = next((block.text for block in blocks(GUIDE.read_text()) if "agent" in block.notes), "")
    assert text, "the guide has lost its agent.toml"
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return text, read_config(path)


def test_every_key_is_shown(shown):
    missing = [f.name for f in dataclasses.fields(Config) if f.name not in ELSEWHERE and f.name not in shown[0]]
    assert not missing, f"the guide's agent.toml does not show {missing}"


def test_defaults_are_told_as_they_are(shown, tmp_path):
    for field in dataclasses.fields(Config):
        if field.name in OWN | ELSEWHERE:
            continue
        default = field.default if field.default is not dataclasses.MISSING else field.default_factory()
        seen = getattr(shown[1], field.name)
        assert seen == default, f"the guide says {field.name} = {seen}, the default is {default}"
