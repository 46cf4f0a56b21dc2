"""Real firmware under QEMU, on all five cores."""

import os
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from stub_build import (
    DEEP,
    DEVICES,
    DIVIDE_BY_ZERO,
    HANG,
    JUMP_NOWHERE,
    READ_NOWHERE,
    UNDEFINED,
    built,
    inputs,
    plus_one,
)

from profiles.device import load_device
from profiles.errors import (
    ConfigError,
    MissingToolError,
    ModelError,
    ToolCrashError,
    UnreachableError,
    VerificationError,
)
from targets.processes import Leash
from targets.tflite_micro.emulate import qemu
from targets.tflite_micro.emulate.protocol import Code, Frame
from targets.tflite_micro.emulate.session import Session, emulate

M4 = load_device("cortex-m4-an386")


def m4(**options):
    return emulate(built("cortex-m4-an386"), M4, **options)


@pytest.mark.parametrize("name", DEVICES)
def test_every_core_computes_and_counts(name):
    firmware, device = built(name), load_device(name)
    with emulate(firmware, device) as session:
        assert session.info.digest == firmware.digest
        assert session.info.tick_hz == device.cpu.clock
        assert (session.info.arena, session.info.stack, session.info.layers) == (6160, 2048, 3)
        assert (session.info.inputs, session.info.outputs) == ((3072, 4), (3072, 4))
        for number in range(1, 4):
            given = inputs()
            result = session.run(given)
            assert result.outputs[0] == plus_one(given[0])
            assert result.outputs[1] == number.to_bytes(4, "little"), "state is kept from one run to the next"
        layers = session.layers(given)
        assert abs(sum(layers) - result.ticks) <= 4, f"{layers} do not add up to {result.ticks}"
        session.reset()
        assert session.run(given).outputs[1] == b"\1\0\0\0", "init forgets"


@pytest.mark.parametrize("name", ["cortex-m4-an386", "cortex-m33-an505", "cortex-m55-an547"])
def test_the_serial_line_of_a_board_gives_the_same(name):
    given = inputs()
    with emulate(built(name), load_device(name), line="uart") as session:
        slow = session.run(given)
    with emulate(built(name), load_device(name)) as session:
        fast = session.run(given)
    assert slow.outputs == fast.outputs
    assert abs(slow.ticks - fast.ticks) <= 1


def test_ticks_repeat():
    ticks = set()
    with m4() as session:
        given = inputs()
        for _ in range(5):
            ticks.add(session.run(given).ticks)
    assert max(ticks) - min(ticks) <= 1, ticks


def test_without_icount_it_computes_the_same():
    with m4(icount=False) as session:
        given = inputs()
        assert session.run(given).outputs[0] == plus_one(given[0])


def test_large_inputs_are_not_lost():
    size = 200_000
    firmware = built("cortex-m4-an386", defines=(f"STUB_BYTES={size}",))
    with emulate(firmware, M4) as session:
        given = inputs(size=size)
        assert session.run(given).outputs[0] == plus_one(given[0])


def test_constants_in_a_second_memory_are_found():
    firmware = built("cortex-m55-an547", defines=("STUB_TABLE=600000",))
    with emulate(firmware, load_device("cortex-m55-an547")) as session:
        given = inputs()
        assert session.run(given).outputs[0] == plus_one(given[0])


def test_the_stack_is_measured():
    with m4() as session:
        session.run(inputs())
        shallow = session.stack()
        assert 32 <= shallow <= 400, f"{shallow} bytes"
        session.run(inputs(DEEP, 8))
        deep = session.stack()
        assert deep - shallow >= 8 * 64, f"8 frames of 64 bytes, and {deep - shallow} more than before"
        session.run(inputs())
        assert session.stack() == deep, "a high-water mark does not fall"


@pytest.mark.parametrize(
    ("name", "what", "words"),
    [
        ("cortex-m3-an385", DIVIDE_BY_ZERO, "division by zero"),
        ("cortex-m4-an386", READ_NOWHERE, "data bus error at 0xa0000004"),
        ("cortex-m7-an500", UNDEFINED, "undefined instruction"),
        ("cortex-m33-an505", JUMP_NOWHERE, "no instruction may be fetched there"),
        ("cortex-m4-an386", DEEP, "sp is outside of the stack"),
        ("cortex-m33-an505", DEEP, "stack overflow"),
        ("cortex-m55-an547", DEEP, "stack overflow"),
    ],
)
@pytest.mark.parametrize("line", ["fast", "uart"])
def test_faults_are_told(name, what, words, line):
    begun = time.monotonic()
    with (
        emulate(built(name), load_device(name), line=line) as session,
        pytest.raises(ToolCrashError, match=words) as caught,
    ):
        session.run(inputs(what, 100_000))
    assert f"the firmware on {name} (QEMU) faulted" in str(caught.value)
    assert "pc 0x" in caught.value.seen
    assert time.monotonic() - begun < 5


def test_firmware_that_hangs_is_given_up():
    begun = time.monotonic()
    with (
        pytest.raises(UnreachableError, match=r"cortex-m4-an386 \(QEMU\) does not answer"),
        m4(timeout=0.3) as session,
    ):
        session.run(inputs(HANG))
    assert time.monotonic() - begun < 5, "and QEMU is not waited for"


def test_inputs_of_another_size_are_refused():
    with m4() as session, pytest.raises(ConfigError, match="inputs of other sizes") as caught:
        session.run([bytes(3071), bytes(4)])
    assert "(3072, 4)" in caught.value.allowed


def test_other_firmware_is_refused():
    argv = qemu.argv(M4, built("cortex-m4-an386").elf)
    with qemu.started(argv, "fast") as wire, pytest.raises(VerificationError, match="runs other firmware") as caught:
        Session(wire, "it", digest="0" * 16)
    assert caught.value.seen == built("cortex-m4-an386").digest


def test_qemu_is_missing(monkeypatch, tmp_path):
    firmware = built("cortex-m4-an386")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt-get install qemu-system-arm"), emulate(firmware, M4):
        pass


def test_qemu_refuses_the_machine():
    argv = ["-machine", "no-such-machine", *qemu.argv(M4, built("cortex-m4-an386").elf)[4:]]
    with (
        qemu.started([qemu.program(), *argv], "fast") as wire,
        pytest.raises(ToolCrashError, match="unsupported machine type"),
    ):
        Session(wire, "it")


def test_another_program_is_no_firmware(tmp_path):
    path = tmp_path / "other.elf"
    shutil.copyfile(built("cortex-m4-an386").elf.parent / "objects" / "firmware_libc.o", path)
    with pytest.raises(ModelError, match="no firmware for an emulator"):
        qemu.argv(M4, path)


def test_qemu_dies():
    with m4() as session:
        process = session._peer.wire._talk.process
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        emulator = next(int(pid) for pid in children if b"qemu" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(emulator, signal.SIGKILL)
        with pytest.raises(ToolCrashError, match=r"qemu-system-arm ended without a result\n.*SIGKILL"):
            session.run(inputs())


def test_a_leash_ends_it():
    leash = Leash()
    with m4(leash=leash) as session:
        leash.cut()
        with pytest.raises(ToolCrashError):
            session.run(inputs())


def emulators():
    mark = str(built("cortex-m4-an386").elf).encode()
    return [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if mark in _read(path) and b"qemu" in _read(path)
    ]


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("line", ["fast", "uart"])
def test_nobody_outlives_us_even_when_we_are_killed(line):
    code = f"""
        import os, signal
        from pathlib import Path
        from profiles.device import load_device
        from targets.tflite_micro.emulate.session import emulate
        with emulate(Path({str(built("cortex-m4-an386").elf)!r}), load_device("cortex-m4-an386"), line={line!r}):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -signal.SIGKILL
    end = time.monotonic() + 5
    while emulators() and time.monotonic() < end:
        time.sleep(0.02)
    assert not emulators()


@pytest.mark.parametrize("line", ["fast", "uart"])
def test_nothing_is_left_behind(line):
    with m4(line=line):
        assert emulators()
    assert not emulators()


# --- what firmware does with frames that are wrong ------------------------------------------------


@pytest.fixture(scope="module")
def open_session():
    with m4() as session:
        yield session


def frame(code, tag, payload=b"", length=None, spoil=0):
    whole = bytearray(Frame(code, tag, payload).encode())
    if length is not None:
        whole[4:8] = struct.pack("<I", length)
    whole[-1] ^= spoil
    return bytes(whole)


def answers(session, data, want=1):
    """Send bytes as they are, and return the frames that come back."""
    peer = session._peer
    peer.wire.write(data, 5)
    found = []
    while len(found) < want and (answer := peer._next(time.monotonic() + 1)) is not None:
        found.append(answer)
    return found


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(Code.INFO, 200, spoil=1), Code.BAD_CRC),
        (frame(Code.RUN, 200, bytes(3076), spoil=128), Code.BAD_CRC),
        (frame(Code.RUN, 200, length=5), Code.BAD_LENGTH),
        (frame(Code.RUN, 200, length=0xFFFFFFFF), Code.BAD_LENGTH),
        (frame(Code.STACK, 200, length=4), Code.BAD_LENGTH),
        (frame(0, 200), Code.BAD_COMMAND),
        (frame(6, 200, length=1 << 31), Code.BAD_COMMAND),
        (frame(255, 200), Code.BAD_COMMAND),
        (b"E" + frame(Code.INFO, 200), Code.INFO),
        (b"EEE" + frame(Code.INFO, 200), Code.INFO),
        (b"nonsense before it" + frame(Code.INFO, 200), Code.INFO),
    ],
)
def test_what_firmware_answers_to_frames_that_are_wrong(open_session, data, code):
    found = answers(open_session, data)
    assert [(answer.code, answer.tag) for answer in found] == [(code, 200)]
    open_session._peer.resync(4096, timeout=10)


@settings(max_examples=40)
@given(
    st.lists(st.one_of(st.binary(max_size=50), st.sampled_from([frame(3, 9, bytes(40)), b"EW", b"EW\3\1"])), max_size=6)
)
def test_after_any_noise_the_line_comes_back_into_step(open_session, noise):
    open_session._peer.wire.write(b"".join(noise), 5)
    open_session._peer.resync(sum(open_session.info.inputs), timeout=10)
    given = inputs()
    assert open_session.run(given).outputs[0] == plus_one(given[0])


def test_a_refusal_of_noise_with_our_own_tag_is_not_taken_for_ours(open_session):
    noise = b"".join(b"EW" + bytes([0x77, tag]) + bytes(4) for tag in range(1, 256))  # a wrong command with every tag
    open_session._peer.wire.write(noise, 5)
    open_session._peer.resync(sum(open_session.info.inputs), timeout=20)
    given = inputs()
    assert open_session.run(given).outputs[0] == plus_one(given[0])


def test_a_request_that_was_cut_off_does_not_spoil_the_next_greeting():
    argv = qemu.argv(M4, built("cortex-m4-an386").elf)
    with qemu.started(argv, "fast") as wire:
        wire.write(frame(Code.RUN, 1, bytes(3076))[:2000], 5)
        session = Session(wire, "it", patience=5)
        given = inputs()
        assert session.run(given).outputs[0] == plus_one(given[0])


def test_after_a_refusal_the_session_goes_on(open_session):
    peer = open_session._peer
    wire, spoiled = peer.wire, []

    class Spoils:
        read = wire.read

        def write(self, data, timeout):
            if not spoiled and len(data) > 100:
                spoiled.append(True)
                data = data[:50] + bytes([data[50] ^ 4]) + data[51:]
            return wire.write(data, timeout)

    peer.wire = Spoils()
    try:
        with pytest.raises(VerificationError, match="bad crc"):
            open_session.run(inputs())
        given = inputs()
        assert open_session.run(given).outputs[0] == plus_one(given[0])
    finally:
        peer.wire = wire
