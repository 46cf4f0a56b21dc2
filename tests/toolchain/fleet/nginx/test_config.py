"""The text of the configuration: what is refused, and what stands in it."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ConfigError
from toolchain.fleet.nginx.config import Settings, render

HERE = Path("/srv/fleet/repository")


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"repository": Path("relative")}, id="relative path"),
        pytest.param({"repository": Path('/srv/"; evil;')}, id="quote in a path"),
        pytest.param({"repository": Path("/srv/$uri")}, id="variable in a path"),
        pytest.param({"name": "a b"}, id="name with a space"),
        pytest.param({"name": "a;"}, id="name with a semicolon"),
        pytest.param({"listen": ("70000",)}, id="port too large"),
        pytest.param({"listen": ()}, id="no port"),
        pytest.param({"upstream": "127.0.0.1"}, id="upstream without a port"),
        pytest.param({"upstream": "unix:/x; }:1"}, id="upstream with a brace"),
        pytest.param({"prefix": "/check in/"}, id="prefix with a space"),
        pytest.param({"certificate": Path("/c.pem")}, id="certificate without key"),
        pytest.param({"status_from": ("everybody",)}, id="no network"),
        pytest.param({"burst": 0}, id="no burst"),
        pytest.param({"rate": -1}, id="negative rate"),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match="for nginx"):
        Settings(**{"repository": HERE, **wrong})


def test_tls_comes_with_a_redirect_and_without_old_protocols():
    text = render(Settings(HERE, "fleet.example.org", ("443",), certificate=Path("/c.pem"), certificate_key=Path("/k")))
    assert "listen 443 ssl;" in text and "return 301 https://$host$request_uri;" in text
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in text and 'ssl_certificate "/c.pem";' in text
    assert "Without TLS" not in text


def test_the_status_page_is_for_nobody_unless_asked():
    assert "/status" not in render(Settings(HERE))
    text = render(Settings(HERE, status_from=("10.0.0.0/8", "2001:db8::/32")))
    assert text.index("allow 10.0.0.0/8;") < text.index("allow 2001:db8::/32;") < text.index("deny all;\n        limit")


@given(st.text(string.printable, min_size=1, max_size=30))
def test_a_path_never_ends_the_string_that_it_stands_in(text):
    """Property: whatever is accepted as a path stands in the file as one quoted word."""
    try:
        settings = Settings(Path("/srv/" + text))
    except ConfigError:
        return
    line = next(line for line in render(settings).splitlines() if line.startswith("    root "))
    assert line == f'    root "{settings.repository}";', f"the path broke out of its string: {line}"
    assert not set(str(settings.repository)) & set("\"'\\;{}$`\n\r\t")
