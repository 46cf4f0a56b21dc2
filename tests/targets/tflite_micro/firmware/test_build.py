"""Building firmware: reproducible, cached, and clear about what went wrong."""

import re
import subprocess

import pytest
from stub_build import DEVICES, STUB, built

from profiles.device import load_device
from profiles.errors import MissingToolError, ToolCrashError, UnsupportedError
from targets.tflite_micro.firmware import toolchain
from targets.tflite_micro.firmware.build import link

M4 = load_device("cortex-m4-an386")


def parts(firmware):
    return {name: getattr(firmware, name).read_bytes() for name in ("elf", "bin", "hex", "map")}


def hex_bytes(text):
    """An Intel HEX file as a mapping of addresses to bytes; checks every sum."""
    memory, upper = {}, 0
    for line in text.split():
        record = bytes.fromhex(line[1:])
        assert sum(record) & 255 == 0, f"a wrong sum: {line}"
        count, at, kind, data = record[0], int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        assert len(data) == count
        if kind == 4:
            upper = int.from_bytes(data, "big") << 16
        if kind == 0:
            memory |= {upper + at + i: byte for i, byte in enumerate(data)}
    return memory


def test_the_same_sources_give_the_same_bytes_in_another_folder(tmp_path):
    copy = tmp_path / "elsewhere" / "stub"
    copy.mkdir(parents=True)
    for path in STUB.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    one = link([STUB / "stub.c"], [STUB], M4, tmp_path / "one")
    two = link([copy / "stub.c"], [copy], M4, tmp_path / "a longer name" / "two")
    for name, content in parts(one).items():
        assert content == parts(two)[name], f"firmware.{name} differs"
    assert one.digest == two.digest


def test_no_folder_of_this_machine_is_in_the_files(tmp_path):
    for name, content in parts(link([STUB / "stub.c"], [STUB], M4, tmp_path)).items():
        folders = {str(tmp_path), str(STUB.parents[4])}
        found = [folder for folder in folders if folder.encode() in content]
        assert not found, f"firmware.{name} has {found}"
    text = (tmp_path / "firmware.map").read_text()
    assert not re.findall(r"(?<![\w.])/(?:usr|home|root|tmp|work)/\S+", text)


def test_another_model_has_another_digest(tmp_path):
    other = link([STUB / "stub.c"], [STUB], M4, tmp_path, defines=["STUB_BYTES=3072", "UNUSED"])
    assert other.digest == built("cortex-m4-an386").digest, "a macro that changes nothing"
    text = (STUB / "stub.c").read_text()
    (tmp_path / "stub.c").write_text(text.replace("runs++", "runs += 2"))
    assert link([tmp_path / "stub.c"], [STUB], M4, tmp_path).digest != other.digest


@pytest.mark.parametrize("name", DEVICES)
def test_bin_and_hex_hold_the_same_bytes(name):
    firmware = built(name)
    memory = hex_bytes(firmware.hex.read_text())
    image = firmware.bin.read_bytes()
    start = min(memory)
    assert start == (0x10000000 if name == "cortex-m33-an505" else 0), "where the core reads its vectors"
    assert bytes(memory[start + i] for i in range(len(image))) == image
    assert len(memory) == len(image)


def test_objects_are_taken_from_the_cache(tmp_path, monkeypatch):
    first = link([STUB / "stub.c"], [STUB], M4, tmp_path / "one", cache=tmp_path / "cache")
    kept = sorted((tmp_path / "cache").iterdir())
    assert len(kept) == 5
    started = []
    from targets.tflite_micro.firmware import build

    run = build.run_program
    monkeypatch.setattr(build, "run_program", lambda argv, **rest: started.append(argv) or run(argv, **rest))
    second = link([STUB / "stub.c"], [STUB], M4, tmp_path / "two", cache=tmp_path / "cache")
    assert parts(first) == parts(second)
    assert not [argv for argv in started if "-c" in argv], "nothing was to be compiled again"


def test_a_compiler_error_is_told(tmp_path):
    (tmp_path / "bad.c").write_text("int main(void) { return nonsense; }\n")
    with pytest.raises(ToolCrashError, match=r"bad.c:1:25: error: .nonsense. undeclared"):
        link([tmp_path / "bad.c"], [STUB], M4, tmp_path / "out")


def test_a_warning_is_an_error(tmp_path):
    (tmp_path / "bad.c").write_text("int f(int unused) { return 0; }\n")
    with pytest.raises(ToolCrashError, match="unused"):
        link([tmp_path / "bad.c"], [STUB], M4, tmp_path / "out")


def test_a_linker_error_is_told(tmp_path):
    (tmp_path / "bad.c").write_text(
        '#include "edgewright_model.h"\nint elsewhere(void);\nint f(void);\nint f(void) { return elsewhere(); }\n'
    )
    with pytest.raises(ToolCrashError, match=r"undefined reference to .edgewright_model_init"):
        link([tmp_path / "bad.c"], [STUB], M4, tmp_path / "out")


def test_an_arena_that_does_not_fit_is_refused_before_linking(tmp_path):
    with pytest.raises(UnsupportedError, match="the arena do not fit into the ram of cortex-m4-an386") as caught:
        link([STUB / "stub.c"], [STUB], M4, tmp_path, defines=["STUB_BYTES=3072"], stack=64 * 2**20)
    assert "64 MiB and 6.03 KiB" in caught.value.seen, caught.value.seen
    assert "ssram23 4 MiB" in caught.value.allowed


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"):
        link([STUB / "stub.c"], [STUB], M4, tmp_path)


def test_the_version_is_the_compilers():
    said = subprocess.run(["arm-none-eabi-gcc", "--version"], capture_output=True, text=True, check=True).stdout
    assert toolchain.version().split()[-1] in said


def test_an_old_object_of_another_build_is_not_linked(tmp_path):
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "zzz.o").write_text("not an object file")
    assert link([STUB / "stub.c"], [STUB], M4, tmp_path).digest == built("cortex-m4-an386").digest
