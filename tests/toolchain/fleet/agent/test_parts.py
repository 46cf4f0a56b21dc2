"""Single parts: deltas, transport, what the device provides, the state file, and the order of flushes."""

import contextlib
import dataclasses
import datetime
import hashlib
import ipaddress
import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.errors import ConfigError, OutputError, UnreachableError, VerificationError
from tests.toolchain.fleet.agent.fleet_device import Device, patch_of, ship
from tests.toolchain.fleet.agent.fleet_repository import Mirror
from tests.toolchain.fleet.agent.fleet_web import Web
from tests.toolchain.fleet.agent.fleet_worlds import world
from toolchain.fleet.agent import blobs, keep, provides, reports, words
from toolchain.fleet.agent.answers import Limits
from toolchain.fleet.agent.blobs import patched
from toolchain.fleet.agent.commands import pause, read_config
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.perform import Agent
from toolchain.fleet.agent.protocols import CheckError
from toolchain.fleet.agent.runtime import figures
from toolchain.fleet.agent.state import State, Trying
from toolchain.fleet.agent.transport import HttpTransport
from toolchain.fleet.documents.release import Blob, Depends
from toolchain.fleet.documents.report import Attempt, Report
from toolchain.fleet.documents.strict import from_bytes, to_bytes

ROOT = Path(__file__).resolve().parents[4]


def blob_of(data):
    return Blob(hashlib.sha256(data).hexdigest(), len(data))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(base=st.binary(min_size=1, max_size=3000), cut=st.integers(0, 3000), extra=st.binary(max_size=300))
def test_a_patch_gives_the_file(tmp_path, base, cut, extra):
    data = base[:cut] + extra + base[cut:]
    path = tmp_path / "patch"
    path.write_bytes(patch_of(base, data))
    assert b"".join(patched(base, path, blob_of(data))) == data


def test_a_patch_of_the_zstd_program_gives_the_file(tmp_path):
    if shutil.which("zstd") is None:
        if os.environ.get("CI"):
            pytest.fail("zstd is not installed")
        pytest.skip("needs zstd")
    base = os.urandom(300_000)
    data = base[:150_000] + b"new" + base[150_000:]
    for name, content in (("base", base), ("data", data)):
        (tmp_path / name).write_bytes(content)
    argv = ["zstd", "-q", f"--patch-from={tmp_path / 'base'}", str(tmp_path / "data"), "-o", str(tmp_path / "patch")]
    subprocess.run(argv, check=True)
    assert (tmp_path / "patch").stat().st_size < 1000
    assert b"".join(patched(base, tmp_path / "patch", blob_of(data))) == data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_damaged_patch_never_gives_another_file(tmp_path, place, bit):
    base, data = bytes(range(256)) * 20, bytes(range(256)) * 19 + b"end"
    patch = bytearray(patch_of(base, data))
    patch[place % len(patch)] ^= 1 << bit
    path = tmp_path / "patch"
    path.write_bytes(patch)
    with contextlib.suppress(VerificationError, zstandard.ZstdError):
        assert b"".join(patched(base, path, blob_of(data))) == data


def test_a_delta_that_takes_more_than_a_quarter_of_the_memory_is_not_applied(mirror, device, first, monkeypatch):
    """A third of it would be taken, so the file comes whole."""
    files = ship(mirror, 2, old=first)
    size = len(files["bundle/weights.bin"])
    pages = 3 * (2 * len(first["bundle/weights.bin"]) + size) // 4096
    real = os.sysconf
    monkeypatch.setattr(os, "sysconf", lambda name: pages if name == "SC_PHYS_PAGES" else real(name))
    device.once()
    assert device.running() == 2 and device.state.attempt.fetched > size, "the delta was applied"


@pytest.mark.parametrize(
    ("base", "content", "fits"),
    [(100, 50, True), (100, 51, False), (101, 50, False), (blobs.MOST_BASE + 1, 0, False)],
    ids=["just", "content", "base", "large"],
)
def test_memory_that_a_delta_may_take(monkeypatch, base, content, fits):
    pages = 1 << 40 if base > 1000 else 1000
    monkeypatch.setattr(os, "sysconf", lambda name: pages if name == "SC_PHYS_PAGES" else 1)
    assert blobs._fits(base, content) == fits


@pytest.fixture
def served(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/x").write_bytes(bytes(range(250)) * 1000)
    web = Web(tmp_path / "files")
    yield web
    web.close()


def test_the_transport_keeps_its_connection_and_reads_parts(served):
    transport = HttpTransport(served.url)
    content = bytes(range(250)) * 1000
    assert b"".join(transport.get("x", 0, 250_000)) == content
    kept = transport._kept
    assert kept is not None
    assert b"".join(transport.get("x", 249_000, 1000)) == content[249_000:]
    assert transport._kept is kept, "a connection per file is too many"
    with pytest.raises(UnreachableError, match="404"):
        next(transport.get("y", 0, 10))
    assert b"".join(transport.get("x", 0, 250_000)) == content
    transport.close()


def test_a_server_without_ranges_is_read_from_its_beginning(served):
    served.faults["x"] = lambda handler, path: handler.answer(200, bytes(range(250)) * 1000)
    assert b"".join(HttpTransport(served.url).get("x", 249_999, 1)) == bytes([249])


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(served):
    transport = HttpTransport(served.url)
    list(transport.get("x", 0, 250_000))
    transport._kept.sock.shutdown(2)
    assert len(b"".join(transport.get("x", 0, 250_000))) == 250_000


def test_the_bytes_of_a_round_are_limited(served):
    transport = HttpTransport(served.url, Limits(bytes=300_000))
    list(transport.get("x", 0, 250_000))
    with pytest.raises(VerificationError, match="no end"):
        list(transport.get("x", 0, 250_000))
    transport.begin()
    list(transport.get("x", 0, 250_000))


@pytest.mark.parametrize("url", ["", "x", "file:///etc/passwd", "http://", "https://u:p@h/", "http://h:99999/", "//h"])
def test_addresses_that_are_none(url):
    with pytest.raises(ConfigError):
        HttpTransport(url)


def test_this_machine_provides_what_it_is():
    found = provides.provides({"device": "raspberry-pi-5", "sm": "8.7"})
    assert (found["device"], found["sm"], found["machine"]) == ("raspberry-pi-5", "8.7", os.uname().machine)
    assert int(found["memory"]) > 1 << 20
    installed = provides.packages(sys.executable)
    assert "tuf" in installed and "securesystemslib" in installed


@pytest.mark.parametrize(
    ("depends", "words"),
    [
        (Depends("d"), ""),
        (Depends("d", machine="arm64"), ""),
        (Depends("d", isa=("neon",), sm=("8.6", "8.7"), memory=100), ""),
        (Depends("d", packages={"AI_Edge.LiteRT": ">=2.3,<2.4"}), ""),
        (Depends("nrf", board="nrf"), ""),
        (Depends("e"), "for the device e"),
        (Depends("d", machine="x86_64"), "needs x86_64"),
        (Depends("d", isa=("sve",)), "lacks sve"),
        (Depends("d", sm=("9.0",)), "9.0"),
        (Depends("d", memory=101), "101 bytes"),
        (Depends("d", packages={"ai-edge-litert": ">=2.4"}), "here: 2.3.1"),
        (Depends("d", packages={"ai-edge-litert": "no specifier"}), "here: 2.3.1"),
        (Depends("stm", board="stm"), "board stm"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(re.findall(r"\w+", str(value))[1:9]),
)
def test_what_a_device_lacks(depends, words):
    has = {"device": "d", "machine": "aarch64", "isa": "neon fp16", "sm": "8.7", "memory": "100", "board": "nrf"}
    found = provides.missing(depends, has, lambda: {"ai-edge-litert": "2.3.1"})
    assert (words in found[0] and len(found) == 1) if words else not found


STATES = st.builds(
    State,
    slot=st.sampled_from(["", "a", "b"]),
    running=st.integers(0, 1 << 31),
    trying=st.none() | st.builds(Trying, st.integers(1, 99), st.sampled_from("ab"), st.floats(0, 1e6)),
    failed=st.dictionaries(st.integers(1, 99).map(str), st.sampled_from(["parity", "health"]), max_size=3),
    floors=st.dictionaries(st.text("abc.é", max_size=9), st.integers(0, 1 << 53), max_size=3),
    counter=st.integers(0, 1 << 53),
    before=st.none() | st.floats(0, 1),
)


@given(STATES)
def test_what_is_kept_is_read_back(state):
    assert from_bytes(State, keep.unsealed(keep.sealed(to_bytes(state)))) == state


@given(STATES, st.integers(0, 1 << 20), st.integers(0, 7))
def test_no_changed_state_file_is_believed(state, place, bit):
    data = bytearray(keep.sealed(to_bytes(state)))
    data[place % len(data)] ^= 1 << bit
    assert keep.unsealed(bytes(data)) is None


@given(st.integers(0, 1 << 52), st.floats(-1e12, 1e18))
def test_counters_only_grow_and_fit_a_report(counter, wall):
    after = reports.counted(State(counter=counter), wall).counter
    assert after > counter
    Report("d", after, 0.0, "p", "c", 0, "1")


@given(st.text(max_size=3000))
def test_any_detail_can_be_reported(text):
    Attempt(detail=words.one_line(text))


def test_figures_that_were_not_measured_are_not_there():
    metrics = b'{"metrics": {"a": {"value": 1}, "b": {"value": null}, "c": {"value": "x"}}}'
    assert figures(metrics) == {"a": 1.0}
    for wrong in (b"", b"[]", b'{"metrics": 1}', b'{"metrics": {"a": 1}}'):
        with pytest.raises(CheckError):
            figures(wrong)


def test_pauses_follow_the_server_within_limits(device):
    config = read_config(device.config)
    usual = pause(config, None, 0)
    assert 0.9 * config.interval <= usual <= 1.1 * config.interval
    assert pause(config, 1.0, 0) == usual, "no server makes a device poll without a pause"
    assert pause(config, 1e9, 0) == pytest.approx(4 * usual), "and none makes it stop"
    assert usual < pause(config, None, 1) < pause(config, None, 2) == pause(config, None, 99)


def test_files_are_whole_or_not_there(tmp_path):
    disk = Disk()
    disk.write(tmp_path / "x", b"one")
    with pytest.raises(OutputError):
        disk.write(tmp_path / "no" / "x", b"two")
    (tmp_path / "x").chmod(0o600)
    disk.write(tmp_path / "x", b"two")
    assert (tmp_path / "x").read_bytes() == b"two" and len(list(tmp_path.iterdir())) == 1


def test_what_takes_its_place_was_flushed_before(tmp_path):
    """Seen by the kernel: no rename of a file of ours before its ``fsync``, and its folder is flushed after."""
    if shutil.which("strace") is None:
        if os.environ.get("CI"):
            pytest.fail("strace is not installed")
        pytest.skip("needs strace")
    mirror = Mirror(tmp_path / "mirror")
    ship(mirror, 1)
    web = Web(mirror.folder)
    try:
        device = Device(tmp_path / "home", web.url, mirror.first_root())
        log = tmp_path / "log"
        agent = [sys.executable, "-m", "toolchain.fleet.agent.main", "run", "--once", "--config", str(device.config)]
        calls = "openat,fsync,rename,renameat,renameat2"
        argv = ["strace", "-y", "-o", str(log), "-e", f"trace={calls}", "-e", "signal=none", *agent]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(argv, check=True, capture_output=True, env=environment, timeout=60)
    finally:
        web.close()
    flushed, waiting, seen = set(), {}, 0
    for line in log.read_text().splitlines():
        if found := re.match(r'rename\("([^"]+)", "([^"]+)"', line):
            source, target = found.groups()
            if "/metadata/" in source:
                continue  # python-tuf's own; flushed together after all of them
            seen += 1
            if not (source.endswith("current.new") or Path(target).is_dir()):
                assert source in flushed, f"{source} took its place before it was on the disk"
            waiting[str(Path(target).parent)] = target
        elif found := re.match(r"fsync\(\d+<([^>]+)>", line):
            flushed.add(found[1])
            waiting.pop(found[1], None)
    for path in (device.folder / "slots/a").rglob("*"):
        staged = str(path).replace("/slots/a/", "/slots/a.new/")
        if path.name not in ("committed", "slot.json"):  # written in their places, see above
            assert staged in flushed, f"{path} took its place before it was on the disk"
    assert seen > 10, "the agent was not seen at work"
    assert not waiting, f"not flushed after: {waiting}"
    assert str(device.folder / "metadata/timestamp.json") in flushed


@pytest.fixture
def certified(tmp_path):
    """A web server with TLS, and the file with its certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")]),
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(address, False).sign(key, hashes.SHA256())
    pem, form, none = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "server.pem").write_bytes(key.private_bytes(pem, form, none) + certificate.public_bytes(pem))
    (tmp_path / "known.pem").write_bytes(certificate.public_bytes(pem))
    (tmp_path / "files").mkdir()
    (tmp_path / "files/x").write_bytes(b"secret")
    web = Web(tmp_path / "files")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    web.server.socket = context.wrap_socket(web.server.socket, server_side=True)
    yield web.url.replace("http://", "https://"), tmp_path / "known.pem"
    web.close()


def test_tls_is_spoken_and_certificates_are_checked(certified, monkeypatch):
    url, known = certified
    with pytest.raises(UnreachableError, match=r"(?i)certificate"):
        list(HttpTransport(url).get("x", 0, 6))
    monkeypatch.setenv("SSL_CERT_FILE", str(known))
    assert b"".join(HttpTransport(url).get("x", 0, 6)) == b"secret"


def test_a_board_behind_the_device_has_its_own_slots_and_checks(device, tmp_path):
    from toolchain.fleet.agent.real import world_of
    from toolchain.fleet.gateway.runtime import BoardRuntime, BoardSlots

    line = "serial:///dev/ttyACM0?baud=115200"
    device.configure(provides={"board": "nrf52840"}, gateway={"smp": line, "line": line, "key": "board.pem"})
    world, _ = world_of(read_config(device.config), Disk(), print)
    assert isinstance(world.runtime, BoardRuntime) and isinstance(world.slots, BoardSlots)
    device.configure(gateway={"smb": line})
    assert "smb" in device.once(code=2)


@given(st.text(max_size=50), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_what_an_agent_says_is_never_refused_for_its_characters(text, pairs):
    said = Report(
        "d", 1, 0.0, "p", "c", 0, "1", reports.plain(Attempt(detail=text) if text.isprintable() else Attempt()),
        reports.lines(pairs), reports.lines(pairs),
    )  # fmt: skip
    assert from_bytes(Report, to_bytes(said)) == said
    assert words.one_line(text).isprintable()


def test_a_report_that_cannot_be_is_an_error_of_ours(device):
    config = dataclasses.replace(read_config(device.config), labels={"a" * 70: "b"})
    with pytest.raises(VerificationError, match="a label is too long"):
        reports.report_of(State(counter=1), config, "1", {}, 0.0)


def test_a_latency_that_no_clock_can_measure_is_not_told(device):
    state, config = State(counter=1, before=5e-324, after=0.5), read_config(device.config)
    told = reports.report_of(state, config, "1", {"os": "a\x9bb"}, 0.0)
    assert (told.before, told.after, told.provides) == (None, 0.5, {"os": "a b"})


BAD_ANSWERS = {
    "huge": b'{"schema":1,"next":1%s,"counter":1}' % (b"0" * 400),
    "huge counter": b'{"schema":1,"next":60,"counter":1%s}' % (b"0" * 400),
    "more digits than are read": b'{"schema":1,"next":1%s,"counter":1}' % (b"0" * 5000),
    "endless": b'{"schema":1,"next":1e999,"counter":1}',
    "never": b'{"schema":1,"next":-1,"counter":1}',
    "none": b"",
    "deep": b"[" * 60_000,
    "half a character": b'{"schema":1,"next":60,"counter":1,"\\ud800":1}',
    "bytes": b"\xff\xfe",
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_answer_that_makes_no_sense_is_a_report_that_failed(device, tmp_path, mirror, answer):
    class Told:
        def post(self, path, body):
            return answer

    class Own:
        def envelope(self, document):
            return to_bytes(document)

    config, said = read_config(device.config), []

    def report(state):
        return reports.send(Told(), Own(), reports.report_of(state, config, "1", {}, 0.0))

    (tmp_path / "home").mkdir()
    (tmp_path / "home/root.json").write_bytes(mirror.first_root())
    agent = Agent(dataclasses.replace(world(tmp_path / "home", mirror, said=said), report=report))
    agent._keep_and_tell()
    assert agent.next is None and agent.state.counter > 0
    assert len(said) == 1 and said[0].startswith("no report: "), said
    said[0].encode()
