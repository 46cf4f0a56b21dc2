"""Our reader of ELF files against GNU's."""

import re
import subprocess

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from stub_build import DEVICES, built

from profiles.errors import ModelError
from targets.tflite_micro.firmware.elf import read_elf


def gnu(tool, *arguments):
    return subprocess.run([f"arm-none-eabi-{tool}", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", DEVICES)
def test_sections_are_those_that_size_tells(name):
    path = built(name).elf
    wanted = re.findall(r"^(\.\w+)\s+(\d+)\s+(\d+)$", gnu("size", "-A", str(path)), re.MULTILINE)
    ours = {section.name: section for section in read_elf(path).sections}
    assert len(wanted) > 8
    for section, size, address in wanted:
        assert (ours[section].size, ours[section].address) == (int(size), int(address)), section


@pytest.mark.parametrize("name", ["cortex-m4-an386", "cortex-m33-an505"])
def test_symbols_are_those_that_nm_tells(name):
    path = built(name).elf
    wanted = re.findall(r"^([0-9a-f]{8}) (?:([0-9a-f]{8}) )?\w (\S+)$", gnu("nm", "-S", str(path)), re.MULTILINE)
    ours = {(symbol.name, symbol.address, symbol.size) for symbol in read_elf(path).symbols}
    missing = [(n, int(a, 16), int(s or "0", 16)) for a, s, n in wanted if not n.startswith("$")]
    missing = [symbol for symbol in missing if symbol not in ours]
    assert not missing, missing


def test_object_files_too():
    folder = built("cortex-m4-an386").elf.parent / "objects"
    sections = {section.name: section for section in read_elf(folder / "model_stub.o").sections}
    assert sections[".rodata.edgewright.weights.steps"].size == 8
    assert not sections[".rodata.edgewright.weights.steps"].writable
    main = {section.name: section for section in read_elf(folder / "firmware_main.o").sections}
    assert main[".noinit.arena"].size == 2 * 3072 + 16
    assert not main[".noinit.arena"].stored


def test_a_symbol_that_is_not_there():
    with pytest.raises(KeyError):
        read_elf(built("cortex-m4-an386").elf).address("nothing")


@settings(max_examples=60)
@given(data=st.data())
def test_broken_files_are_refused_or_read(tmp_path_factory, data):
    whole = built("cortex-m4-an386").elf.read_bytes()
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 8))):
        if broken:
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("elf") / "broken.elf"
    path.write_bytes(broken)
    try:
        read_elf(path)
    except ModelError as error:
        assert "broken.elf" in str(error)
