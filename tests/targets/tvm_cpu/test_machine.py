"""Devices as the compilers see them."""

import dataclasses

import pytest
from tvm_networks import device_of

from profiles.device import load_device
from profiles.errors import UnsupportedError
from targets.tvm_cpu.machine import machine_of
from targets.tvm_cpu.suits import missing


def local(**cpu):
    device = load_device("raspberry-pi-4")
    return dataclasses.replace(device, cpu=dataclasses.replace(device.cpu, **cpu))


@pytest.mark.parametrize(
    ("isa", "cpu", "lanes"),
    [("x86-64-v2", "x86-64-v2", 4), ("x86-64-v3", "x86-64-v3", 8), ("x86-64-v4", "x86-64-v4", 16), ("", "x86-64", 4)],
)
def test_x86_uses_the_level_of_its_profile_and_no_more(isa, cpu, lanes):
    machine = machine_of(local(arch="x86_64", isa=isa, features=()))
    assert machine.target["mcpu"] == cpu
    assert machine.lanes == lanes


def test_arm_features_become_those_of_llvm():
    machine = machine_of(load_device("raspberry-pi-5"))
    assert machine.target["mattr"] == ["+v8.2a", "+neon", "+fullfp16", "+dotprod"]
    assert machine.compiler == "aarch64-linux-gnu-g++"


def test_32_bit_arm_has_vectors_only_with_neon():
    with_neon, without = (machine_of(local(arch="armv7l", isa="armv7-a", features=f)) for f in (("neon",), ()))
    assert (with_neon.lanes, without.lanes) == (4, 1)
    assert "+neon" not in without.target["mattr"]
    assert with_neon.target["mfloat-abi"] == "hard"


def test_risc_v_has_the_base_of_debian():
    assert machine_of(device_of("riscv64")).target["mattr"] == ["+m", "+a", "+f", "+d", "+c"]


def test_a_processor_without_linux_is_refused_with_those_that_are_not():
    with pytest.raises(UnsupportedError) as caught:
        machine_of(load_device("cortex-m4-an386"))
    assert "aarch64" in caught.value.allowed


@pytest.mark.parametrize(
    ("isa", "features", "lacks"),
    [("x86-64-v4", (), ""), ("x86-64-v3", (), ""), ("x86-64-v2", (), "x86-64-v3"), ("", (), "x86-64-v3")],
)
def test_code_for_a_newer_x86_is_not_run(isa, features, lacks):
    assert missing({"isa": "x86-64-v3", "features": []}, isa, features) == lacks


def test_code_for_arm_with_more_instructions_is_not_run():
    assert missing({"isa": "armv8.2-a", "features": ["neon", "fp16"]}, "armv8-a", ["neon"]) == "fp16"
