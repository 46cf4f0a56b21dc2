"""What is in firmware, and how much of it."""

import subprocess

import pytest
from stub_build import BYTES, DEVICES, built

from targets.tflite_micro.firmware.sizes import map_summary, sizes


@pytest.mark.parametrize("name", DEVICES)
def test_the_parts_add_up(name):
    firmware = built(name)
    found = sizes(firmware.elf)
    assert found["flash"] == len(firmware.bin.read_bytes()), "flash is what is written into it"
    assert found["flash"] == sum(found[k] for k in ("code", "weights", "bias", "requant", "table", "padding", "data"))
    assert found["ram"] == sum(found[k] for k in ("data", "bss", "stack", "arena"))
    assert (found["weights"], found["bias"], found["data"]) == (8, 16, 4)
    assert found["arena"] == 2 * BYTES + 16
    assert found["stack"] == firmware.stack == 2048


@pytest.mark.parametrize("name", DEVICES)
def test_the_firmware_without_a_model_is_small(name):
    summary = map_summary(built(name).map)
    own = {entry["object"]: entry.get("code", 0) for entry in summary["objects"] if "firmware_" in entry["object"]}
    assert sum(own.values()) <= 1700, f"{name}: {own}"
    assert {"firmware_main.o", "firmware_mps2.o", "firmware_startup.o"} <= set(own)


@pytest.mark.parametrize("name", ["cortex-m4-an386", "cortex-m55-an547"])
def test_the_map_tells_the_same_as_the_file(name):
    firmware = built(name)
    found, objects = sizes(firmware.elf), map_summary(firmware.map)["objects"]
    for use in ("weights", "bias", "data", "arena"):
        assert sum(entry.get(use, 0) for entry in objects) == found[use], use
    code = sum(entry.get("code", 0) for entry in objects)
    assert code <= found["code"] <= code + 64, "but for alignment"


def test_the_largest_come_first_and_are_those_that_nm_tells():
    firmware = built("cortex-m4-an386")
    largest = map_summary(firmware.map)["largest"]
    assert [entry["size"] for entry in largest] == sorted((entry["size"] for entry in largest), reverse=True)
    names = subprocess.run(
        ["arm-none-eabi-nm", "-S", "--size-sort", firmware.elf], capture_output=True, text=True, check=True
    ).stdout
    assert f"{largest[1]['size']:08x} T {largest[1]['name']}" in names, largest[1]


def test_nothing_that_the_model_does_not_need_is_linked():
    names = subprocess.run(
        ["arm-none-eabi-nm", built("cortex-m4-an386").elf], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "memcpy" in names
    assert "memmove" not in names
    assert not {"malloc", "printf", "_sbrk", "__libc_init_array"} & set(names)
