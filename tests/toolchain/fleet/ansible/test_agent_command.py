"""`edgewright fleet agent`: the agent for Ansible to bring."""

from __future__ import annotations

import zipfile


def test_it_writes_the_agent_and_says_how_it_gets_to_devices(cli, tmp_path):
    told = cli("fleet", "agent", "--out", tmp_path / "agent.pyz").fine().out
    assert "ANSIBLE_COLLECTIONS_PATH=" in told
    with zipfile.ZipFile(tmp_path / "agent.pyz") as archive:
        assert "toolchain/fleet/agent/main.py" in archive.namelist()


def test_a_place_that_cannot_be_written_is_refused(cli, tmp_path):
    (tmp_path / "file").touch()
    cli("fleet", "agent", "--out", tmp_path / "file" / "agent.pyz").refused(2)
