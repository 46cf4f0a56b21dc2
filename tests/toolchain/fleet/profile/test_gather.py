"""`edgewright fleet profile` against a real OpenSSH server: several devices that are one machine."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from profiles.errors import ConfigError, UnreachableError
from profiles.measurement import Kind, Metric
from targets.artifact import load_artifact
from targets.runtime import runtime_zipapp
from tests.toolchain.fleet.ansible.fleet_ansible import inventory, reach, ssh_environment
from toolchain.fleet.ansible.playbook import COLLECTIONS
from toolchain.fleet.home import create_home
from toolchain.fleet.profile.gather import Measured, Order, gathered, measure, parse_labels, pattern
from toolchain.fleet.store import Store


def figure(seconds):
    return Metric(seconds, "s", Kind.MEASURED, "made up")


def fleet(*latencies, model="pi"):
    return [Measured(f"cam-{n}", model, {"latency_p50": figure(s)}, True) for n, s in enumerate(latencies)]


@pytest.fixture
def order(built, device, tmp_path, monkeypatch):
    """Three devices behind one ssh server, and a bundle for them."""
    for key, value in ssh_environment(device, tmp_path).items():
        monkeypatch.setenv(key, value)
    bundle = built.bundle("local-cpu-onnxruntime-int8", tmp_path)
    load_artifact(bundle)
    variables = {**reach(device), "edgewright_agent_folder": str(tmp_path)}
    return Order(
        tmp_path, bundle, inventory=inventory(tmp_path, device, variables), python=sys.executable, seconds=0.05
    )


@pytest.mark.sshd
def test_profiles_come_back_and_nothing_stays(order, device, cli):
    words = [
        "fleet",
        "profile",
        order.bundle,
        "--inventory",
        order.inventory,
        "--python",
        order.python,
        "--seconds",
        "0.05",
    ]
    found = json.loads(cli(*words, "--fleet", "site=lab", "--json").fine().out)
    assert [row["device"] for row in found["devices"]] == ["cam-1", "cam-2"], "the label did not select"
    assert found["failed"] == {} and "0.6745" in found["rule"]
    for row in found["devices"]:
        assert row["metrics"]["latency_p50"]["unit"] == "s" and row["metrics"]["latency_p50"]["value"] > 0
        assert row["score"] is None, "two devices are too few for a verdict"
    (model,) = found["models"].values()
    assert model["devices"] == 2 and model["latency_p50"]["minimum"] <= model["latency_p50"]["median"]
    left = [path.name for path in device.folder.iterdir() if path.name.startswith("edgewright-")]
    assert left == [], "the bundle was left on the device"


@pytest.mark.sshd
def test_a_device_that_fails_is_told_and_the_others_are_measured(order, tmp_path):
    hosts = json.loads(order.inventory.read_text())
    hosts["all"]["hosts"]["cam-2"]["ansible_port"] = 1
    order.inventory.write_text(json.dumps(hosts))
    found = measure(order)
    assert [each.device for each in found.devices] == ["cam-1", "cam-3"]
    assert list(found.failed) == ["cam-2"], found.failed
    told = found.failed["cam-2"]  # by ssh, or by Ansible if that was still writing when ssh had ended
    assert "refused" in told or "can be reached over SSH" in told, told


@pytest.mark.sshd
def test_without_a_bundle_each_device_measures_what_it_runs(order, tmp_path):
    """The slot to which the agent's link ``current`` leads; a device without one is told."""
    slot = tmp_path / "state" / "slots" / "a"
    slot.mkdir(parents=True)
    shutil.copytree(order.bundle, slot / "bundle")
    runtime_zipapp(load_artifact(order.bundle).target, slot / "runtime.pyz")
    (tmp_path / "state" / "current").symlink_to("slots/a")
    hosts = json.loads(order.inventory.read_text())
    hosts["all"]["hosts"]["cam-3"]["edgewright_agent_folder"] = str(tmp_path / "elsewhere")
    order.inventory.write_text(json.dumps(hosts))
    found = measure(dataclasses.replace(order, bundle=None))
    assert [each.device for each in found.devices] == ["cam-1", "cam-2"], found.failed
    assert list(found.failed) == ["cam-3"] and found.bundle == "what each device runs"
    assert all(each.metrics["latency_p50"].kind is Kind.MEASURED for each in found.devices)


@pytest.mark.sshd
def test_devices_come_from_the_fleets_own_database(order, device, tmp_path):
    """Home, database, command line, inventory plugin, ssh, profiler: the whole way, with the fleet's own inventory."""
    home = create_home(tmp_path / "fleet", passphrase=lambda name: "correct horse battery")
    with Store(home.database_url) as store:
        for name, site in (("cam-1", "lab"), ("cam-2", "roof")):
            token = store.make_token("camera", now=1.0, lasts=9.0)
            labels = {"site": site, "address": f"127.0.0.1:{device.port}"}
            assert store.enrol(name, "camera", "stable", labels, key=(name, "pem"), token=token, now=2.0) == ""
    found = measure(dataclasses.replace(order, home=home.folder, inventory=None, labels={"site": "lab"}))
    assert [each.device for each in found.devices] == ["cam-1"] and found.failed == {}


def test_an_outlier_is_marked_among_its_own_model():
    found = gathered("b", [*fleet(4.0e-3, 4.01e-3, 4.02e-3, 3.99e-3, 4.0e-3, 9.0e-3)], {})
    assert found.marked == ("cam-5",)
    rows = found.as_dict()["devices"]
    assert [row["device"] for row in rows if row["outlier"]] == ["cam-5"] and rows[5]["score"] > 3.5
    json.dumps(found.as_dict(), allow_nan=False)


def test_no_profile_at_all_is_an_error():
    with pytest.raises(UnreachableError, match="Connection refused"):
        gathered("b", [], {"cam-1": "Measure: Connection refused"})


def test_labels():
    assert parse_labels(["site=lab", "model=pi 5"]) == {"site": "lab", "model": "pi 5"}
    assert pattern({"site": "lab", "model": "pi 5"}) == "site_lab:&model_pi_5"
    assert pattern({"note": "x" * 200}) == f"note_{'x' * 95}"
    with pytest.raises(ConfigError, match="a label and its value"):
        parse_labels(["site"])


PLUGIN = COLLECTIONS / "ansible_collections/edgewright/fleet/plugins/inventory/fleet.py"


@pytest.fixture(scope="module")
def plugin():
    """The inventory plugin, which Ansible loads by its file and which must not need our packages."""
    spec = importlib.util.spec_from_file_location("fleet_inventory_plugin", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@example(key="k" * 99, value="ä" * 99)
@given(key=st.text(min_size=1, max_size=120), value=st.text(min_size=1, max_size=120))
def test_a_label_selects_the_group_that_the_inventory_makes_of_it(plugin, key, value):
    assert pattern({key: value}) == plugin.group_name(f"{key}_{value}")
