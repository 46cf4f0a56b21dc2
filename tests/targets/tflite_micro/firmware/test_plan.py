"""A build is data before anything runs."""

import re
from pathlib import Path

import pytest
from stub_build import DEVICES, STUB

from profiles.device import load_device
from targets.tflite_micro.firmware import plan

M4 = load_device("cortex-m4-an386")


def named(jobs):
    return [job.name for job in jobs]


def test_the_firmware_around_a_model_is_added_in_an_order_of_names():
    jobs = plan.compiles([STUB / "stub.c"], [STUB], M4)
    assert named(jobs) == [
        "firmware_libc.o", "firmware_main.o", "firmware_mps2.o", "firmware_startup.o", "model_stub.o",
    ]  # fmt: skip
    assert named(jobs) == named(plan.compiles([STUB / "stub.c"], [STUB], M4))


def test_macros_are_for_all_and_the_ports_for_the_firmware_alone():
    jobs = {job.name: job.flags for job in plan.compiles([STUB / "stub.c"], [STUB], M4, ["EW_PORTABLE"])}
    assert all("-DEW_PORTABLE" in words for words in jobs.values()), "a header must be the same to all who read it"
    assert not [word for word in jobs["model_stub.o"] if word.startswith("-DEW_PORT_")]
    assert [word for word in jobs["firmware_main.o"] if word.startswith("-DEW_PORT_")]


def test_sources_of_one_name_make_two_objects(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "stub.c").write_text("int a;\n")
    names = named(plan.compiles([STUB / "stub.c", tmp_path / "a" / "stub.c"], [STUB], M4))
    assert {"model_stub.o", "model_stub_2.o"} <= set(names)
    assert len(set(names)) == len(names)


def test_a_digest_follows_everything_that_is_included(tmp_path):
    (tmp_path / "deep.h").write_text("#define N 1\n")
    (tmp_path / "top.h").write_text('#include "deep.h"\n')
    (tmp_path / "x.c").write_text('  #  include "top.h"\nint n = N;\n')
    job = plan.Compile(tmp_path / "x.c", "x.o", ("-O2",), ())
    first = job.digest("gcc 12")
    assert job.digest("gcc 12") == first
    assert job.digest("gcc 13") != first
    (tmp_path / "deep.h").write_text("#define N 2\n")
    assert job.digest("gcc 12") != first, "a header two files away changed"


def test_a_digest_does_not_follow_the_folder(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.c").write_text("int n;\n")
    one, two = (plan.Compile(tmp_path / name / "x.c", "x.o", (), (tmp_path / name,)).digest("gcc") for name in "ab")
    assert one == two


@pytest.mark.parametrize("name", DEVICES)
def test_the_linker_script_names_the_memories_of_the_profile(name):
    device = load_device(name)
    first = {kind: next(m.name for m in device.memories if m.kind == kind) for kind in ("flash", "ram")}
    places = {"code": first["flash"], "constants": first["flash"], "data": first["ram"], "arena": first["ram"]}
    script = plan.linker_script(device, places, 1001)
    found = re.findall(r"^ +(\w+) \(\w+\) : ORIGIN = (0x\w+), LENGTH = (0x\w+)$", script, re.MULTILINE)
    assert len(found) == len(device.memories)
    for memory, (_, base, size) in zip(device.memories, found, strict=True):
        alias = device.parameters.get("flash_alias", 0) if memory.kind == "flash" else 0
        assert (int(base, 16), int(size, 16)) == (memory.base + alias, memory.size)
    assert ". += 1008;" in script, "the stack is a multiple of 8"


def test_linking_takes_the_digest_as_two_words():
    argv = plan.link_argv("gcc", M4, [Path("a.o")], Path("/out"), "0123456789abcdef")
    assert "-Wl,--defsym=ew_digest_0=0x01234567" in argv
    assert "-Wl,--defsym=ew_digest_1=0x89abcdef" in argv
