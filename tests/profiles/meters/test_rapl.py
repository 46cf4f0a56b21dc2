from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from profiles.errors import DataError, MissingToolError
from profiles.meters.rapl import RaplMeter

POWERCAP = "sys/class/powercap"
RANGE = 262143328850  # (2**32 - 1) energy units of 61.035 µJ, as Intel machines show it


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def set_energy(root: Path, zone: str, microjoules: int) -> None:
    (root / POWERCAP / zone / "energy_uj").write_text(f"{microjoules}\n")


def test_two_packages_are_added_and_nothing_inside_or_above_them(tree, intel_two_packages) -> None:
    root = tree(intel_two_packages)
    clock = Clock()
    meter = RaplMeter(root, clock=clock)
    assert meter.available() == ""
    meter.start()
    clock.now += 10.0
    set_energy(root, "intel-rapl:0", 1_000_000_000 + 300_000_000)
    set_energy(root, "intel-rapl:1", 2_000_000_000 + 200_000_000)
    for other in ("intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:10", "intel-rapl-mmio:0"):
        set_energy(root, other, 9_000_000_000)
    reading = meter.stop()
    assert reading.joules == pytest.approx(500.0)
    assert reading.rails == {"package-0": pytest.approx(300.0), "package-1": pytest.approx(200.0)}
    assert reading.watts == pytest.approx(50.0)
    assert "without memory" in reading.method


def test_one_package_wraps_in_the_middle(tree, intel_two_packages) -> None:
    root = tree({**intel_two_packages, f"{POWERCAP}/intel-rapl:0/energy_uj": str(RANGE - 50_000_000)})
    clock = Clock()
    meter = RaplMeter(root, clock=clock)
    meter.start()
    clock.now += 10.0
    set_energy(root, "intel-rapl:0", 70_000_000)
    set_energy(root, "intel-rapl:1", 2_000_000_000 + 80_000_000)
    reading = meter.stop()
    assert reading.joules == pytest.approx(200.0, abs=1e-3), "50 J to the wrap, 70 J after it, 80 J on the other"


@example(start=2**32 - 5, steps=[10, *[2**30] * 7])
@settings(max_examples=40)
@given(start=st.integers(0, 2**32 - 1), steps=st.lists(st.integers(0, 2**30), min_size=1, max_size=8))
def test_wraps_of_the_hardware_counter_are_exact_to_its_unit(tmp_path_factory, start: int, steps: list[int]) -> None:
    """The kernel shows raw counts times 61.035 µJ, rounded down; compare with exact arithmetic on the counts."""
    root = tmp_path_factory.mktemp("rapl")
    zone = root / POWERCAP / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text(f"{(2**32 - 1) * 61035 // 1000}\n")
    raw = start
    set_energy(root, "intel-rapl:0", raw * 61035 // 1000)
    clock = Clock()
    meter = RaplMeter(root, clock=clock)
    meter.start()
    for step in steps:
        raw = (raw + step) % 2**32
        set_energy(root, "intel-rapl:0", raw * 61035 // 1000)
        clock.now += 200.0
        meter.poll()
    clock.now += 1.0
    assert meter.stop().joules == pytest.approx(sum(steps) * 61.035e-6, abs=len(steps) * 3e-6)


def test_it_polls_within_half_a_wrap_at_the_stated_power(tree, intel_two_packages) -> None:
    amd = {f"{POWERCAP}/{zone}/max_energy_range_uj": "65532610987" for zone in ("intel-rapl:0", "intel-rapl:1")}
    root = tree({**intel_two_packages, **amd})
    clock = Clock()
    meter = RaplMeter(root, max_watts=1000.0, clock=clock)
    meter.start()
    interval = meter.poll_seconds
    clock.now += 1.0
    meter.stop()
    assert interval is not None
    assert interval < 65532.6 / 1000.0 / 2
    assert interval > 1.0, "polling must not cost the machine anything"


def test_a_sleep_longer_than_a_wrap_is_noticed(tree, intel_two_packages) -> None:
    clock = Clock()
    meter = RaplMeter(tree(intel_two_packages), clock=clock)
    meter.start()
    clock.now += 3600.0
    with pytest.raises(DataError, match="wrapped more than once"):
        meter.stop()


def test_resolution_is_one_energy_unit_per_package(tree, intel_two_packages) -> None:
    resolution = RaplMeter(tree(intel_two_packages)).resolution
    assert resolution.unit == "J"
    assert resolution.value == pytest.approx(61.035e-6 * 2**0.5, rel=1e-4)


def test_amd_has_the_same_layout(tree) -> None:
    root = tree(
        {
            f"{POWERCAP}/intel-rapl:0/name": "package-0",
            f"{POWERCAP}/intel-rapl:0/energy_uj": "64930873566",
            f"{POWERCAP}/intel-rapl:0/max_energy_range_uj": "65532610987",
            f"{POWERCAP}/intel-rapl:0:0/name": "core",
            f"{POWERCAP}/intel-rapl:0:0/energy_uj": "31041919121",
            f"{POWERCAP}/intel-rapl:0:0/max_energy_range_uj": "65532610987",
        }
    )
    clock = Clock()
    meter = RaplMeter(root, clock=clock)
    meter.start()
    clock.now += 20.0
    set_energy(root, "intel-rapl:0", 398_262_579)
    set_energy(root, "intel-rapl:0:0", 1)
    assert meter.stop().joules == pytest.approx(1000.0, abs=1e-3)
    assert meter.resolution.value == pytest.approx(15.258e-6, rel=1e-4)


def test_dies_of_one_package_and_equal_names_are_kept_apart(tree, intel_two_packages) -> None:
    root = tree({**intel_two_packages, f"{POWERCAP}/intel-rapl:1/name": "package-0"})
    clock = Clock()
    meter = RaplMeter(root, clock=clock)
    meter.start()
    clock.now += 1.0
    set_energy(root, "intel-rapl:1", 2_000_000_000 + 7_000_000)
    reading = meter.stop()
    assert reading.joules == pytest.approx(7.0)
    assert set(reading.rails) == {"package-0 (intel-rapl:0)", "package-0 (intel-rapl:1)"}


def test_permission_denied_says_what_to_run(unprivileged, intel_two_packages) -> None:
    private = [name for name in intel_two_packages if name.endswith("energy_uj")]
    root = unprivileged(intel_two_packages, private)
    why = RaplMeter(root).available()
    assert "permission denied: readable by root only" in why
    assert "sudo chmod a+r" in why
    assert "intel-rapl:*/{energy_uj,max_energy_range_uj}" in why
    with pytest.raises(MissingToolError):
        RaplMeter(root).start()


def test_no_counter_says_why_and_what_next(tmp_path: Path) -> None:
    why = RaplMeter(tmp_path).available()
    assert "no such folder" in why
    assert "modprobe intel_rapl_msr" in why
    assert "virtual machines" in why


def test_zones_without_a_package_are_named(tree) -> None:
    root = tree({f"{POWERCAP}/intel-rapl:0/name": "psys"})
    assert "seen: psys" in RaplMeter(root).available()


def test_a_counter_that_vanishes_ends_the_window_with_a_reason(tree, intel_two_packages) -> None:
    root = tree(intel_two_packages)
    clock = Clock()
    meter = RaplMeter(root, clock=clock)
    meter.start()
    clock.now += 1.0
    (root / POWERCAP / "intel-rapl:1/energy_uj").unlink()
    with pytest.raises(MissingToolError, match="intel-rapl:1/energy_uj"):
        meter.stop()
