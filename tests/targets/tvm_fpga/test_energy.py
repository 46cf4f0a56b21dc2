"""Energy: a formula with named sources, or none."""

import dataclasses

import pytest

from profiles.device import load_device
from profiles.errors import ConfigError
from profiles.measurement import Kind
from targets.tvm_fpga.energy import KEYS, energy

ECP5 = load_device("fpga-ecp5-85")


def test_every_term_is_there_and_estimated_with_its_source():
    found = energy(ECP5, 12_000_000, 100_000, 2e-3)
    assert found.kind is Kind.ESTIMATED
    assert found.value == pytest.approx(0.336 * 2e-3 + 6.3e-12 * 12e6 + 244e-12 * 1e5)
    for key in KEYS:
        assert ECP5.sources[f"parameters.{key}"] in found.method, f"the source of {key} is not named"
    assert found.method.startswith("nothing was measured")


def test_the_profile_scales_its_sources_as_it_says():
    static = 77e-3 * 1.1 * 84 / 24 + 16e-3 * 2.5
    mac = (0.2e-12 + 0.1e-12) * (1.1 / 0.9) ** 2 * 14
    byte = (1.3e-9 + 2.6e-9) / 2 / 8
    assert energy(ECP5, 0, 0, 1.0).value == pytest.approx(static, rel=0.005)
    assert energy(ECP5, 10**6, 0, 0.0).value == pytest.approx(1e6 * mac, rel=0.005)
    assert energy(ECP5, 0, 10**6, 0.0).value == pytest.approx(1e6 * byte, rel=0.005)


@pytest.mark.parametrize("name", ["fpga-zynq-7020", "fpga-sim-16x16"])
def test_without_published_figures_there_is_none(name):
    found = energy(load_device(name), 1, 1, 1.0)
    assert not found.available and "static_power, mac_energy, byte_energy" in found.reason


def test_without_a_clock_there_is_no_static_energy():
    assert "no clock" in energy(ECP5, 1, 1, None).reason


def test_a_coefficient_needs_its_unit():
    wrong = dataclasses.replace(ECP5, parameters={**ECP5.parameters, "mac_energy": "6.3 pW"})
    with pytest.raises(ConfigError, match="mac_energy"):
        energy(wrong, 1, 1, 1.0)
