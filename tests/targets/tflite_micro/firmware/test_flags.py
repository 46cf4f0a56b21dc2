"""Flags follow from the device profile."""

import dataclasses

import pytest
from stub_build import DEVICES

from profiles.device import load_device
from profiles.errors import ConfigError
from targets.tflite_micro.firmware import flags


def changed(name, **parameters):
    device = load_device(name)
    return dataclasses.replace(device, parameters={**device.parameters, **parameters})


@pytest.mark.parametrize("name", DEVICES)
def test_floats_are_passed_in_registers_exactly_where_there_are_some(name):
    device = load_device(name)
    words = flags.core_flags(device)
    assert words[:2] == (f"-mcpu={device.parameters['mcpu']}", "-mthumb")
    assert ("-mfloat-abi=hard" in words) == (name != "cortex-m3-an385"), f"{name}: {words}"


@pytest.mark.parametrize("name", DEVICES)
def test_the_numbers_of_the_port_become_macros(name):
    device = load_device(name)
    words = flags.port_flags(device)
    assert f"-DEW_PORT_TICK_HZ={int(device.cpu.clock)}u" in words
    assert f"-DEW_PORT_UART_BASE={device.parameters['port']['uart_base']}u" in words
    assert not [word for word in words if "SOURCES" in word]


def test_a_profile_may_give_another_tick_rate_than_the_clock():
    port = {**load_device("cortex-m4-an386").parameters["port"], "tick_hz": 1000}
    assert "-DEW_PORT_TICK_HZ=1000u" in flags.port_flags(changed("cortex-m4-an386", port=port))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"mcpu": "cortex-m44"}, "cortex-m4"),
        ({"mcpu": None}, "mcpu"),
    ],
)
def test_an_unknown_core_is_refused_with_those_that_are_known(parameters, words):
    with pytest.raises(ConfigError, match=words) as caught:
        flags.core_flags(changed("cortex-m4-an386", **parameters))
    assert "cortex-m55" in caught.value.allowed


@pytest.mark.parametrize("port", [None, {}, {"sources": "mps2.c"}])
def test_a_profile_without_a_port_is_refused(port):
    with pytest.raises(ConfigError, match=r"\[parameters.port\]"):
        flags.port_sources(changed("cortex-m4-an386", port=port))
