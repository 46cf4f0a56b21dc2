"""The whole agent against static files: install, update by delta, go back by itself."""

import dataclasses
import os
import stat
import sys

import pytest

from tests.toolchain.fleet.agent.fleet_device import CHANNEL, PRODUCT, contents, packed, plan_of, release_of, ship
from toolchain.fleet.documents.plan import Wave
from toolchain.fleet.documents.release import Depends


def test_a_first_release_is_installed_and_committed(mirror, device):
    ship(mirror, 1)
    text = device.once()
    assert device.running() == 1, text
    assert "version 1: fetching" in text and "version 1: committed" in text
    state = device.state
    assert (state.running, state.slot, state.attempt.outcome) == (1, "a", "committed")
    assert os.readlink(device.folder / "current") == "slots/a"
    assert not list((device.folder / "partial").iterdir()), "what was fetched must not lie about"
    for name in ("state.json", "state.json.bak"):
        assert stat.S_IMODE((device.folder / name).stat().st_mode) == 0o600


def test_nothing_changes_when_there_is_nothing_new(device, first, web):
    before = device.state
    web.asked.clear()
    device.once()
    assert device.state.running == 1 and device.state.slot == before.slot
    assert not web.fetched("blobs/")


def test_an_update_goes_to_the_other_slot_by_delta_and_reuses_what_is_there(mirror, device, first, web):
    files = ship(mirror, 2, old=first)
    web.asked.clear()
    device.once()
    assert device.running() == 2 and device.state.slot == "b"
    attempt = device.state.attempt
    assert attempt.full == sum(map(len, files.values()))
    assert attempt.fetched < 3000, f"a delta was wanted, {attempt.fetched} bytes of {attempt.full} came"
    slots = device.folder / "slots"
    assert (slots / "a/bundle/labels.txt").stat().st_ino == (slots / "b/bundle/labels.txt").stat().st_ino


def test_a_release_with_wrong_numbers_never_runs(mirror, device, first):
    ship(mirror, 2, wrong=True)
    text = device.once(code=6)
    assert "parity" in text and "outputs differ" in text
    assert device.running() == 1
    assert (device.state.attempt.outcome, device.state.attempt.reason) == ("failed", "parity")
    assert device.state.failed == {"2": "parity"}
    device.once()
    assert device.running() == 1, "a version that failed must not be tried again by itself"


def test_a_release_that_is_too_slow_never_runs(mirror, device, first):
    ship(mirror, 2, latency=0.0012, plan={"most_slower": 0.1})
    assert "went from 0.001 s to 0.0012 s, +20%" in device.once(code=6)
    state = device.state
    assert (device.running(), state.attempt.reason, state.before, state.after) == (1, "slower", 0.001, 0.0012)


def test_a_release_over_its_budget_never_runs(mirror, device, first):
    ship(mirror, 2, latency=0.0012, bundle={"budget": [("latency_p50", 0.0011), ("accuracy_drop", 0.0)]})
    assert "its budget 0.0011" in device.once(code=6)
    assert device.running() == 1 and device.state.attempt.reason == "budget"


def test_a_release_whose_health_check_fails_is_rolled_back_by_itself(mirror, device, first, tmp_path):
    script = "import json,os,sys; sys.exit(json.load(open(os.environ['EDGEWRIGHT_BUNDLE']+'/model.json'))['number']==2)"
    device.configure(health=[sys.executable, "-c", script])
    ship(mirror, 2)
    text = device.once(code=6)
    assert "version 2: soaking" in text and "version 2: rolled-back: health" in text
    assert device.running() == 1
    assert (device.state.attempt.outcome, device.state.failed) == ("rolled-back", {"2": "health"})
    ship(mirror, 3)
    device.once()
    assert device.running() == 3, "the next version is installed all the same"
    assert device.state.failed == {}


def test_a_release_that_crashes_hangs_or_takes_all_memory_never_runs(mirror, device, first):
    device.configure(check_seconds=2.0, check_memory=200 << 20)
    for version, behaviour in ((2, {"killed": "verify"}), (3, {"hang": "profile"}), (4, {"greedy": "verify"})):
        ship(mirror, version, **behaviour)
        text = device.once(code=6)
        assert device.running() == 1 and device.state.attempt.reason == "crash", text


def test_a_target_that_builds_on_the_device_builds_first(mirror, device):
    ship(mirror, 1, build=1, bundle={"builds": True})
    device.once(code=6)
    assert device.running() == 0 and device.state.attempt.reason == "build"
    ship(mirror, 2, build=0, bundle={"builds": True})
    device.once()
    assert device.running() == 2 and (device.folder / "engines/engine").exists()


def test_a_failed_version_is_tried_again_when_a_person_says_so(mirror, device, first):
    ship(mirror, 2, wrong=True)
    device.once(code=6)
    code, text = device.call("run", "--once", "--retry")
    assert code == 6 and "version 2: checking" in text


@pytest.mark.parametrize(
    ("change", "runs"),
    [
        ({"state": "paused"}, 1),
        ({"state": "aborted"}, 1),
        ({"open_waves": 0}, 1),
        ({"waves": (Wave("some", devices=("other",)),)}, 1),
        ({"waves": (Wave("kitchen", labels={"room": "kitchen"}),)}, 2),
        ({"state": "complete", "open_waves": 0}, 2),
    ],
    ids=["paused", "aborted", "closed", "other-device", "label", "complete"],
)
def test_the_plan_says_who_may(mirror, device, first, change, runs):
    device.configure(labels={"room": "kitchen"})
    ship(mirror, 2, plan=change)
    device.once()
    assert device.running() == runs


def test_wrong_hardware(mirror, device, first):
    files = contents(2)
    wrong = [
        packed(mirror, files, depends=Depends("jetson-orin-nano")),
        packed(mirror, files, depends=Depends("local-cpu", machine="riscv64")),
        packed(mirror, files, depends=Depends("local-cpu", isa=("avx1024",))),
        packed(mirror, files, depends=Depends("local-cpu", sm=("99.9",))),
        packed(mirror, files, depends=Depends("local-cpu", memory=1 << 49)),
        packed(mirror, files, depends=Depends("local-cpu", packages={"packaging": "<1"})),
        packed(mirror, files, depends=Depends("local-cpu", packages={"no-such-thing": ">=1"})),
    ]
    mirror.release(release_of(2, *wrong))
    mirror.plan(plan_of(2))
    text = device.once(code=6)
    reasons = (
        "jetson-orin-nano",
        "riscv64",
        "lacks avx1024",
        "capability 99.9",
        "of memory",
        "packaging <1",
        "not ins",
    )
    for words in reasons:
        assert words in text, f"'{words}' is missing in: {text}"
    assert (device.running(), device.state.attempt.outcome, device.state.attempt.reason) == (1, "refused", "depends")
    mirror.release(release_of(3, *wrong, packed(mirror, contents(3))))
    mirror.plan(plan_of(3))
    device.once()
    assert device.running() == 3, "the first bundle that fits is taken"


def test_a_download_goes_on_where_it_was(mirror, device, web, first):
    ship(mirror, 2)
    weights = mirror.blob(contents(2)["bundle/weights.bin"])

    def cut(handler, path):
        content = (mirror.folder / path).read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:20_000])
        handler.wfile.flush()
        handler.connection.close()

    web.faults[weights.sha256] = cut
    text = device.once(code=7)
    assert "version 2 " not in text and device.running() == 1
    assert (device.folder / "partial" / weights.sha256).stat().st_size == 20_000
    web.faults.clear()
    web.asked.clear()
    device.once()
    assert device.running() == 2
    assert (weights.url_path, "bytes=20000-") in web.asked, "the rest alone was wanted"


def test_a_rollback_of_the_fleet_is_a_new_version_that_repeats_an_old_one(mirror, device, first, web):
    ship(mirror, 2, old=first)
    device.once()
    bundle = packed(mirror, first)
    mirror.release(dataclasses.replace(release_of(3, bundle), repeats=1))
    mirror.plan(plan_of(3))
    web.asked.clear()
    device.once()
    assert device.running() == 1 and device.state.running == 3
    assert not web.fetched("blobs/"), "everything lies in the other slot still"


def test_names_in_messages(device, mirror):
    assert PRODUCT in device.once(code=2) and CHANNEL in device.call("run", "--once")[1]
