"""What profiles say of the accelerator."""

import dataclasses

import pytest

from profiles.device import load_device
from profiles.errors import ConfigError
from targets.tvm_fpga.device import clock_of, geometry_of, goal_of, host_of, memory_of
from targets.tvm_fpga.geometry import Geometry


def changed(name, **parameters):
    device = load_device(name)
    return dataclasses.replace(device, parameters={**device.parameters, **parameters})


@pytest.mark.parametrize(
    ("name", "lanes", "clock", "goal", "host"),
    [
        ("fpga-ecp5-85", 8, None, 80e6, ""),
        ("fpga-zynq-7020", 8, None, 100e6, "armv7"),
        ("fpga-sim-16x16", 16, 100e6, None, ""),
    ],
)
def test_the_profiles_name_arrays_clocks_and_hosts(name, lanes, clock, goal, host):
    device = load_device(name)
    assert geometry_of(device) == Geometry(lanes=lanes)
    assert (clock_of(device), goal_of(device), host_of(device)) == (clock, goal, host)
    assert memory_of(device).latency == 100


@pytest.mark.parametrize("wrong", [{"lanes": 7}, {"lanes": "8"}, {"weights": 1000}])
def test_an_array_that_there_is_none_of_is_refused(wrong):
    with pytest.raises(ConfigError):
        geometry_of(changed("fpga-ecp5-85", **wrong))


def test_a_device_without_an_array_is_refused():
    with pytest.raises(ConfigError, match="raspberry-pi-5"):
        geometry_of(load_device("raspberry-pi-5"))


def test_a_goal_needs_a_unit():
    with pytest.raises(ConfigError, match="clock_goal"):
        goal_of(changed("fpga-ecp5-85", clock_goal="80"))


def test_a_64_bit_processor_beside_the_fabric():
    device = load_device("fpga-zynq-7020")
    cpu = dataclasses.replace(device.cpu, arch="aarch64")
    assert host_of(dataclasses.replace(device, cpu=cpu)) == "aarch64"
