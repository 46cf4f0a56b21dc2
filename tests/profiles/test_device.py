"""Loading device profiles: what is read, and that every mistake gives one clear error."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import profiles.detect
from profiles.device import Cpu, Device, Memory, device_from_dict, device_names, load_device
from profiles.errors import ConfigError

BOARD = """
name = "board"
title = "A board"
targets = ["onnxruntime", "litert"]
formats = ["fp32", "int8"]
reach = "ssh"

[cpu]
arch = "aarch64"
isa = "armv8.2-a"
features = ["neon", "dotprod"]
cores = 4
clock = "2.4 GHz"

[[memory]]
name = "sram"
kind = "ram"
size = "256 KiB"
base = 0x2000_0000

[[memory]]
name = "dram"
kind = "ram"
size = "1 MiB"

[[memory]]
name = "flash"
kind = "flash"
size = "2 MB"

[identity]
arch = "aarch64"
model_contains = ["Board"]

[power]
meter = "ina3221"
rails = ["VDD_IN"]
tdp = "7500 mW"

[parameters]
array = [16, 16]

[sources]
cpu.clock = "Data sheet, table 1"
"cpu.cores" = "Data sheet, table 2"
memory.sram.size = "Data sheet, table 3"
"""


def write(folder, text, name="board"):
    (folder / f"{name}.toml").write_text(text)
    return folder


def refused(folder, text, name="board"):
    with pytest.raises(ConfigError) as caught:
        load_device(name, write(folder, text, name))
    return caught.value


def test_reads_every_part(tmp_path):
    device = load_device("board", write(tmp_path, BOARD))
    assert device.targets == ("onnxruntime", "litert")
    assert device.cpu == Cpu("aarch64", "armv8.2-a", ("neon", "dotprod"), 4, 2.4e9)
    assert device.memories == (
        Memory("sram", "ram", 262144.0, 0x20000000),
        Memory("dram", "ram", 1048576.0),
        Memory("flash", "flash", 2e6),
    )
    assert (device.power.meter, device.power.rails, device.power.tdp) == ("ina3221", ("VDD_IN",), 7.5)
    assert (device.identity.arch, device.identity.model_contains) == ("aarch64", ("Board",))
    assert device.parameters == {"array": [16, 16]}
    documents = {"cpu.clock": "table 1", "cpu.cores": "table 2", "memory.sram.size": "table 3"}
    assert device.sources == {path: f"Data sheet, {table}" for path, table in documents.items()}, "however TOML nests"


def test_memories_of_one_kind_add_up_and_none_is_not_zero(tmp_path):
    device = load_device("board", write(tmp_path, BOARD))
    assert device.memory("ram") == 262144.0 + 1048576.0
    assert device.memory("flash") == 2e6
    assert dataclasses.replace(device, memories=()).memory("ram") is None


def test_what_is_not_given_is_not_invented(tmp_path):
    minimal = 'name = "board"\ntitle = "A board"\ntargets = ["null"]\n[cpu]\narch = "aarch64"\n'
    device = load_device("board", write(tmp_path, minimal))
    assert (device.cpu.clock, device.cpu.cores, device.power.tdp, device.memory("ram")) == (None, None, None, None)
    assert (device.formats, device.reach, device.cpu.features) == (("fp32",), "local", ())


def test_a_device_is_frozen_and_becomes_json(tmp_path):
    device = load_device("board", write(tmp_path, BOARD))
    with pytest.raises(dataclasses.FrozenInstanceError):
        device.name = "other"
    assert json.loads(json.dumps(device.as_dict()))["memories"][0]["size"] == 262144.0


def test_names_are_sorted_and_only_profiles_count(tmp_path):
    write(write(tmp_path, BOARD, "zebra"), BOARD, "ant")
    (tmp_path / "notes.txt").write_text("not a profile")
    assert device_names(tmp_path) == ["ant", "zebra"]


def test_an_unknown_device_names_the_nearest_and_all():
    with pytest.raises(ConfigError) as caught:
        load_device("rasberry-pi5")
    assert "rasberry-pi5" in caught.value.wanted
    assert caught.value.next_step == "did you mean 'raspberry-pi-5'?"
    assert "cortex-m4-an386" in caught.value.allowed


@pytest.mark.parametrize("name", ["toaster", "", "../devices/local-cpu", "local-cpu.toml", "/etc/passwd"])
def test_what_is_no_device_at_all_points_to_the_list(name):
    with pytest.raises(ConfigError) as caught:
        load_device(name)
    assert caught.value.next_step in ("run: edgewright devices", "did you mean 'local-cpu'?")


@pytest.mark.parametrize(
    ("old", "new", "table", "nearest"),
    [
        ('title = "A board"', 'titel = "A board"', "", "title"),
        ("cores = 4", "core = 4", " [cpu]", "cores"),
        ('kind = "flash"', 'sort = "flash"', " [[memory]]", ""),
        ('arch = "aarch64"\nmodel', 'archs = "aarch64"\nmodel', " [identity]", "arch"),
        ('tdp = "7500 mW"', 'tpd = "7500 mW"', " [power]", "tdp"),
    ],
)
def test_an_unknown_key_names_the_table_and_the_nearest_key(tmp_path, old, new, table, nearest):
    error = refused(tmp_path, BOARD.replace(old, new))
    assert error.wanted == f"board.toml{table} has an unknown key"
    assert error.seen == f"'{new.partition(' ')[0]}'"
    assert error.next_step == (f"did you mean '{nearest}'?" if nearest else "")
    assert nearest in error.allowed.split(", ") or not nearest


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('clock = "2.4 GHz"', 'clock = "2.4 GB"', "board.toml [cpu] clock"),
        ('clock = "2.4 GHz"', 'clock = "2.4"', "board.toml [cpu] clock"),
        ('clock = "2.4 GHz"', "clock = 2400", "board.toml [cpu] clock"),
        ('clock = "2.4 GHz"', 'clock = ["2.4 GHz"]', "board.toml [cpu] clock"),
        ('clock = "2.4 GHz"', 'clock = "-2.4 GHz"', "board.toml [cpu] clock"),
        ('size = "256 KiB"', 'size = "256 Kb"', "board.toml [[memory]] size"),
        ('size = "256 KiB"', "size = 262144", "board.toml [[memory]] size"),
        ('tdp = "7500 mW"', 'tdp = "7.5 V"', "board.toml [power] tdp"),
    ],
)
def test_a_quantity_needs_a_number_with_the_right_unit(tmp_path, old, new, where):
    assert refused(tmp_path, BOARD.replace(old, new)).wanted.startswith(f"{where} needs a")


@pytest.mark.parametrize(
    ("old", "new", "where", "allowed"),
    [
        ('["fp32", "int8"]', '["fp32", "int88"]', "board.toml formats", "int8"),
        ('["fp32", "int8"]', '["float32"]', "board.toml formats", "fp32"),
        ('reach = "ssh"', 'reach = "telnet"', "board.toml reach", "ssh"),
        ('reach = "ssh"', "reach = 22", "board.toml reach", "ssh"),
        ('kind = "flash"', 'kind = "rom"', "board.toml [[memory]] kind", "flash"),
        ('"dotprod"]', '"dot-prod"]', "board.toml [cpu] features", "dotprod"),
    ],
)
def test_a_word_that_is_not_known_is_refused(tmp_path, old, new, where, allowed):
    error = refused(tmp_path, BOARD.replace(old, new))
    assert error.wanted == f"{where} has an unknown value"
    assert allowed in error.allowed


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('title = "A board"', "title = 5", "board.toml title"),
        ('["onnxruntime", "litert"]', '"onnxruntime"', "board.toml targets"),
        ('["onnxruntime", "litert"]', "[1, 2]", "board.toml targets"),
        ('["neon", "dotprod"]', '"neon"', "board.toml [cpu] features"),
        ("cores = 4", 'cores = "four"', "board.toml [cpu] cores"),
        ("cores = 4", "cores = -4", "board.toml [cpu] cores"),
        ("cores = 4", "cores = 4.0", "board.toml [cpu] cores"),
        ("cores = 4", "cores = true", "board.toml [cpu] cores"),
        ("base = 0x2000_0000", 'base = "0x20000000"', "board.toml [[memory]] base"),
        ('name = "sram"', "name = 1", "board.toml [[memory]] name"),
        ('"Data sheet, table 1"', "1", "board.toml [sources] cpu.clock"),
        ('reach = "ssh"', 'reach = "ssh"\ndetect = "yes"', "board.toml detect"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(tmp_path, old, new, where):
    error = refused(tmp_path, BOARD.replace(old, new))
    assert error.wanted == f"{where} has the wrong type"
    assert error.allowed, "the error should say which type is right"


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ('cpu = "aarch64"', "board.toml [cpu]"),
        ('cpu = {arch = "aarch64"}\nmemory = {name = "ram"}', "board.toml memory"),
        ('cpu = {arch = "aarch64"}\nmemory = ["ram"]', "board.toml [[memory]]"),
        ('cpu = {arch = "aarch64"}\nidentity = []', "board.toml [identity]"),
        ('cpu = {arch = "aarch64"}\nparameters = 5', "board.toml [parameters]"),
        ('cpu = {arch = "aarch64"}\nsources = "somewhere"', "board.toml [sources]"),
    ],
)
def test_what_should_be_a_table_is_a_table(tmp_path, table, where):
    error = refused(tmp_path, f'name = "board"\ntitle = "A board"\ntargets = []\n{table}\n')
    assert error.wanted == f"{where} has the wrong type"


@pytest.mark.parametrize(
    ("old", "where", "key"),
    [
        ('name = "board"\n', "board.toml", "name"),
        ('title = "A board"\n', "board.toml", "title"),
        ('targets = ["onnxruntime", "litert"]\n', "board.toml", "targets"),
        ('arch = "aarch64"\nisa', "board.toml [cpu]", "arch"),
        ('size = "1 MiB"\n', "board.toml [[memory]]", "size"),
        ('kind = "flash"\n', "board.toml [[memory]]", "kind"),
    ],
)
def test_what_is_incomplete_says_which_key_is_missing(tmp_path, old, where, key):
    new = "isa" if old.endswith("isa") else ""
    assert refused(tmp_path, BOARD.replace(old, new, 1)).wanted == f"{where} needs the key '{key}'"


def test_a_profile_without_a_processor_is_incomplete():
    with pytest.raises(ConfigError, match=r"x\.toml needs the key 'cpu'"):
        device_from_dict({"name": "x", "title": "X", "targets": []}, where="x.toml")


def test_a_file_that_is_not_toml_is_refused(tmp_path):
    assert refused(tmp_path, "name = ").wanted == "board.toml is not valid TOML"
    (tmp_path / "board.toml").write_bytes(b'title = "\xff\xfe"')
    with pytest.raises(ConfigError, match=r"board\.toml is not valid TOML"):
        load_device("board", tmp_path)


def test_the_name_inside_is_the_name_of_the_file(tmp_path):
    error = refused(tmp_path, BOARD, name="other")
    assert error.wanted == "other.toml must name the device like the file"
    assert (error.seen, error.allowed) == ("'board'", "'other'")


DETECTED = {
    "cpu": {"arch": "riscv64", "cores": 8, "clock": "1 GHz"},
    "formats": ["fp32", "int8"],
    "memory": [{"name": "ram", "kind": "ram", "size": "16 GiB"}],
    "sources": {"cpu.cores": "read from this machine"},
}
HERE = {"name": "here", "title": "Here", "targets": ["null"], "detect": True}


def test_detect_fills_in_this_machine_and_the_profile_wins(monkeypatch):
    monkeypatch.setattr(profiles.detect, "detect_hardware", lambda: DETECTED)
    device = device_from_dict(
        {**HERE, "cpu": {"cores": 2}, "formats": ["fp32"], "sources": {"cpu": {"clock": "a label"}}}, where="here.toml"
    )
    assert device.cpu == Cpu("riscv64", cores=2, clock=1e9)
    assert (device.formats, device.memory("ram")) == (("fp32",), 16 * 2.0**30)
    assert device.sources == {"cpu.cores": "read from this machine", "cpu.clock": "a label"}


def test_without_detect_nothing_is_read_from_this_machine(monkeypatch):
    monkeypatch.setattr(profiles.detect, "detect_hardware", lambda: pytest.fail("looked at this machine"))
    device_from_dict({**HERE, "detect": False, "cpu": {"arch": "aarch64"}}, where="here.toml")


toml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["name", "title", "targets", "cpu", "memory", "formats", "reach", "identity", "power", "sources"]
)


@settings(deadline=None)
@given(st.dictionaries(keys, toml_values))
def test_whatever_is_written_gives_a_device_or_a_clear_error(changes):
    data = {"name": "x", "title": "X", "targets": ["null"], "cpu": {"arch": "aarch64"}, **changes}
    try:
        device = device_from_dict(data, where="x.toml")
    except ConfigError as error:
        assert error.wanted.startswith("x.toml"), "the error should name the file"
    else:
        assert isinstance(device, Device)


@pytest.mark.parametrize("name", device_names())
def test_a_profile_survives_a_journey_through_json(name):
    device = load_device(name)
    assert Device.from_plain(json.loads(json.dumps(device.as_dict()))) == device
