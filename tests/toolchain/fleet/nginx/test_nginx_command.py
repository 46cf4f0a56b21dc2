"""`edgewright fleet nginx`: what it takes from fleet.toml, and what it refuses."""

from __future__ import annotations

import pytest

from toolchain.fleet.home import create_home
from toolchain.fleet.settings import Server


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    server = Server(url="https://fleet.example.org/", checkin="https://fleet.example.org/devices/api/")
    folder = tmp_path_factory.mktemp("fleet") / "home"
    return create_home(folder, passphrase=lambda name: "correct horse battery", server=server)


def test_names_and_paths_come_from_the_fleet(home, cli):
    text = cli("fleet", "--home", home.folder, "nginx").fine().out
    assert "server_name fleet.example.org;" in text and f'root "{home.repository}";' in text
    assert 'location ~ "^/devices/api/v1/(?:report|enrol)$"' in text and "listen 80;" in text
    assert "server 127.0.0.1:8440;" in text, "the default is not where the server listens"


def test_with_tls_it_listens_on_443_and_writes_a_file(home, cli, tmp_path):
    out = tmp_path / "edgewright.conf"
    words = ["--certificate", tmp_path / "c.pem", "--certificate-key", tmp_path / "k.pem", "--out", out]
    told = cli("fleet", "--home", home.folder, "nginx", *words).fine().out
    assert "listen [::]:443 ssl;" in out.read_text() and "nginx -t" in told


def test_half_of_tls_is_refused(home, cli, tmp_path):
    refusal = cli("fleet", "--home", home.folder, "nginx", "--certificate", tmp_path / "c.pem").refused(2)
    assert "a certificate and its key" in refusal.wanted


def test_without_a_fleet_nothing_is_written(cli, tmp_path):
    cli("fleet", "--home", tmp_path / "none", "nginx", "--out", tmp_path / "x.conf").refused(2)
    assert not (tmp_path / "x.conf").exists()
