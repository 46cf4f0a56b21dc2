"""The inventory plugin: what a device says of itself becomes data, and never a setting of Ansible or a template."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from toolchain.fleet.ansible.playbook import COLLECTIONS, environment, find_program

DEVICES = [
    {"device": "cam-1", "product": "camera", "channel": "stable", "running": 7, "revoked": None,
     "labels": {"site": "lab", "address": "10.1.2.3:2222", "ansible_connection": "local"}},
    {"device": "cam-2", "product": "camera", "channel": "beta", "running": 6, "revoked": None,
     "labels": {"site": "roof top", "address": "-oProxyCommand=touch", "evil": "{{ lookup('pipe', 'touch MARK') }}"}},
    {"device": "cam-3", "product": "camera", "channel": "stable", "running": 7, "revoked": 1.0,
     "labels": {"site": "lab"}},
    {"device": "cam-4", "product": "camera", "channel": "stable", "running": 0, "revoked": None,
     "labels": {"site": "lab", "address": "[fd00::1]:22"}},
]  # fmt: skip


@pytest.fixture
def ask(tmp_path):
    """Asks ansible-inventory with our plugin, whose command prints ``answer``."""

    def run(answer, status=0, playbook="", **options):
        (tmp_path / "answer").write_text(answer if isinstance(answer, str) else json.dumps(answer))
        tell = f"import sys; print(open({str(tmp_path / 'answer')!r}).read()); print(sys.argv[1:], file=sys.stderr)"
        command = [sys.executable, "-c", f"{tell}; sys.exit({status})"]
        path = tmp_path / "fleet.edgewright.yml"
        path.write_text(
            json.dumps({"plugin": "edgewright.fleet.fleet", "home": "/fleet", "command": command, **options})
        )
        argv = [find_program("ansible-playbook"), "-i", path, playbook] if playbook else [
            find_program("ansible-inventory"), "-i", path, "--list",
        ]  # fmt: skip
        env = {**os.environ, **environment(tmp_path), "ANSIBLE_HOME": str(tmp_path / "ansible")}
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=env, cwd=tmp_path)

    return run


def plain(value):
    """Without the marks that Ansible puts on what it does not trust."""
    if isinstance(value, dict):
        return (
            plain(value["__ansible_unsafe"]) if "__ansible_unsafe" in value else {k: plain(v) for k, v in value.items()}
        )
    return value


def test_devices_become_hosts_and_groups(ask):
    done = ask(DEVICES)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    hosts = plain(found["_meta"]["hostvars"])
    assert set(hosts) == {"cam-1", "cam-2", "cam-4"}, "a revoked device is not reached, all others are"
    assert (hosts["cam-1"]["ansible_host"], hosts["cam-1"]["ansible_port"]) == ("10.1.2.3", 2222)
    assert hosts["cam-4"]["ansible_host"] == "fd00::1"
    assert "ansible_host" not in hosts["cam-2"], "an option of ssh was taken for an address"
    assert "ansible_connection" not in hosts["cam-1"], "a label became a setting of Ansible"
    assert hosts["cam-1"]["edgewright_labels"]["ansible_connection"] == "local", "labels are data"
    assert hosts["cam-1"]["edgewright_running"] == 7
    assert found["site_lab"]["hosts"] == ["cam-1", "cam-4"] and found["site_roof_top"]["hosts"] == ["cam-2"]
    assert found["product_camera"]["hosts"] == ["cam-1", "cam-2", "cam-4"] and found["channel_beta"]["hosts"] == [
        "cam-2"
    ]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "all", "ungrouped"])
def test_a_device_cannot_take_a_name_that_means_something_to_ansible(ask, name):
    impostor = {**DEVICES[0], "device": name, "labels": {"address": "6.6.6.6"}}
    done = ask([impostor, DEVICES[1]])
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["_meta"]["hostvars"]) == {"cam-2"}, "the device became a host"
    assert "6.6.6.6" not in done.stdout
    assert f"the device '{name}' is left out" in " ".join(done.stderr.split()), "nobody is told"


def test_a_label_does_not_bring_a_device_into_groups_of_products_and_channels(ask):
    labels = {"product": "safe", "product-safe": "x", "channel": "stable", "channel.stable": "x", "site": "lab"}
    sly = {**DEVICES[1], "labels": labels}
    found = json.loads(ask([DEVICES[0], sly]).stdout)
    groups = {name for name, group in found.items() if "cam-2" in group.get("hosts", [])}
    assert groups == {"product_camera", "channel_beta", "site_lab"}
    assert found["channel_stable"]["hosts"] == ["cam-1"]


def test_the_collection_and_the_package_ask_for_the_same_ansible():
    """Before 2.19, what an inventory plugin found could be evaluated as a template."""
    collection = COLLECTIONS / "ansible_collections" / "edgewright" / "fleet"
    extras = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    (wanted,) = extras["optional-dependencies"]["fleet-ansible"]
    oldest = re.search(r">=(\d+\.\d+)", wanted)[1]
    assert tuple(map(int, oldest.split("."))) >= (2, 19)
    assert f'requires_ansible: ">={oldest}.0"' in (collection / "meta" / "runtime.yml").read_text()
    role = (collection / "roles" / "bootstrap_agent" / "meta" / "main.yml").read_text()
    assert f'min_ansible_version: "{oldest}"' in role


def test_a_label_is_never_evaluated_as_a_template(ask, tmp_path):
    mark, task = tmp_path / "mark", {"ansible.builtin.debug": {"msg": "{{ edgewright_labels.evil }}"}}
    (tmp_path / "show.yml").write_text(json.dumps([{"hosts": "cam-2", "gather_facts": False, "tasks": [task]}]))
    devices = json.loads(json.dumps(DEVICES).replace("MARK", str(mark)))
    done = ask(devices, playbook=tmp_path / "show.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"touch {mark}" in done.stdout, "the label was not shown, so nothing was tested"
    assert not mark.exists(), "a device made this machine run a command"


def test_labels_select(ask):
    found = json.loads(ask(DEVICES, select={"site": "lab"}).stdout)
    assert set(found["_meta"]["hostvars"]) == {"cam-1", "cam-4"}


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        pytest.param("[]", 2, "edgewright ended with 2", id="fails"),
        pytest.param("no json", 0, "printed no list of devices", id="no JSON"),
        pytest.param("{}", 0, "printed no list of devices", id="no devices"),
    ],
)
def test_a_fleet_that_does_not_answer_is_an_error(ask, answer, status, words):
    done = ask(answer, status)
    assert done.returncode != 0 and words in done.stderr, f"no word of it: {done.stderr}"
