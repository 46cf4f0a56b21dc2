from __future__ import annotations

import math
from pathlib import Path

import pytest

from profiles.device import load_device
from profiles.errors import ConfigError, MissingToolError
from profiles.meters.ina3221 import Ina3221Meter, find_channels

NEVER = 1e6
NANO = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"


def make(root: Path, rails: tuple[str, ...]) -> tuple[Ina3221Meter, list[float]]:
    now = [0.0]
    return Ina3221Meter(rails, root, interval=NEVER, clock=lambda: now[0]), now


def test_orin_nano_module_input(tree, orin_nano) -> None:
    root = tree(orin_nano)
    meter, now = make(root, ("VDD_IN",))
    assert meter.available() == ""
    meter.start()
    now[0] = 2.0
    (root / NANO / "curr1_input").write_text("2200\n")
    reading = meter.stop()
    assert reading.joules == pytest.approx(5.08 * (1.2 + 2.2) / 2 * 2.0), "trapezoid from 1.2 A to 2.2 A at 5.08 V"
    assert reading.rails == {"VDD_IN": pytest.approx(reading.joules)}
    assert "VDD_IN" in reading.method


def test_agx_orin_rails_of_two_chips_are_added(tree, agx_orin) -> None:
    meter, now = make(tree(agx_orin), ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"))
    meter.start()
    now[0] = 10.0
    reading = meter.stop()
    assert reading.watts == pytest.approx(12.008 * 0.28 + 12.008 * 0.04 + 4.968 * 0.98)
    assert list(reading.rails) == ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"]


def test_unconnected_channels_and_the_sum_are_no_rails(tree, agx_orin) -> None:
    assert list(find_channels(tree(agx_orin))) == ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"]


def test_agx_thor_module_rails_and_a_current_just_below_zero(tree, agx_thor) -> None:
    """A rail that is switched off shows the sensor's offset, which may be negative."""
    meter, now = make(tree(agx_thor), ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"))
    meter.start()
    now[0] = 10.0
    reading = meter.stop()
    assert reading.rails["VDD_GPU"] == pytest.approx(12.016 * -0.032 * 10)
    assert reading.watts == pytest.approx(12.016 * (0.54 - 0.032) + 4.976 * 1.31)


def test_agx_thor_input_of_the_whole_kit(tree, agx_thor) -> None:
    """The INA238 multiplies by itself; 5 µV across 2 mΩ are 2.5 mA, 3.125 mV on the bus (TI SLYS025)."""
    meter, now = make(tree(agx_thor), ("VIN",))
    assert meter.available() == ""
    meter.start()
    now[0] = 10.0
    assert meter.stop().watts == pytest.approx(23.42)
    assert meter.resolution.value == pytest.approx(math.hypot(19.85 * 2.5e-3, 1.18 * 3.125e-3))


def test_an_input_sensor_without_a_name_is_no_rail(tree, agx_thor) -> None:
    named = {name: text for name, text in agx_thor.items() if not name.endswith("/label")}
    assert list(find_channels(tree(named))) == ["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"]


@pytest.mark.parametrize(
    ("profile", "board"),
    [("jetson-orin-nano", "orin_nano"), ("jetson-agx-orin", "agx_orin"), ("jetson-thor", "agx_thor")],
)
def test_the_rails_of_a_profile_are_on_its_board(
    tree, request: pytest.FixtureRequest, profile: str, board: str
) -> None:
    meter, _ = make(tree(request.getfixturevalue(board)), load_device(profile).power.rails)
    assert meter.available() == ""


def test_a_rail_that_another_release_calls_otherwise(tree, orin_nano) -> None:
    renamed = {name: text.replace("VDD_IN", "VIN_MODULE") for name, text in orin_nano.items()}
    why = make(tree(renamed), load_device("jetson-orin-nano").power.rails)[0].available()
    assert "wanted the power rail 'VDD_IN'" in why
    assert "VIN_MODULE" in why
    assert "[power] rails" in why


def test_a_missing_rail_names_those_seen_and_the_nearest(tree, orin_nano) -> None:
    meter, _ = make(tree(orin_nano), ("VDD_INN",))
    with pytest.raises(ConfigError) as caught:
        meter.start()
    assert caught.value.seen == "VDD_IN, VDD_CPU_GPU_CV, VDD_SOC"
    assert "VDD_IN" in caught.value.next_step
    assert "VDD_INN" in meter.available()


def test_no_rails_are_never_guessed(tree, orin_nano) -> None:
    meter, _ = make(tree(orin_nano), ())
    why = meter.available()
    assert "VDD_IN, VDD_CPU_GPU_CV, VDD_SOC" in why
    assert "[power] rails" in why


def test_resolution_follows_the_shunt_and_the_bus_step(tree, orin_nano) -> None:
    """40 µV across 5 mΩ are 8 mA; 8 mV on the bus (TI SBOS576)."""
    meter, _ = make(tree(orin_nano), ("VDD_IN",))
    resolution = meter.resolution
    assert resolution.unit == "W"
    assert resolution.value == pytest.approx(math.hypot(5.08 * 0.008, 1.2 * 0.008))


def test_no_chip(tmp_path: Path) -> None:
    meter, _ = make(tmp_path, ("VDD_IN",))
    assert "no such chip" in meter.available()


def test_chip_without_labels(tree) -> None:
    root = tree({f"{NANO}/in1_input": "5000", f"{NANO}/name": "ina3221"})
    with pytest.raises(MissingToolError, match="no labelled channel"):
        find_channels(root)


def test_a_sensor_that_stops_answering(tree, orin_nano) -> None:
    root = tree(orin_nano)
    meter, now = make(root, ("VDD_IN",))
    meter.start()
    now[0] = 1.0
    (root / NANO / "curr1_input").unlink()
    with pytest.raises(MissingToolError, match="curr1_input"):
        meter.stop()


def test_permission_denied_for_the_input_of_the_kit(unprivileged, agx_thor) -> None:
    sensor = "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon3/power1_input"
    why = make(unprivileged(agx_thor, [sensor]), ("VIN",))[0].available()
    assert "permission denied" in why
    assert "power1_input" in why


def test_permission_denied(unprivileged, orin_nano) -> None:
    root = unprivileged(orin_nano, [f"{NANO}/curr1_input"])
    why = make(root, ("VDD_IN",))[0].available()
    assert "permission denied" in why
    assert "sudo chmod a+r" in why
