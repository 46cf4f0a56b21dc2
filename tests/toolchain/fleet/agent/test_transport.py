"""What a server does wrong on purpose: where it sends us, what it says, and how slowly it says that."""

import contextlib
import time

import pytest

from profiles.errors import UnreachableError, VerificationError
from tests.toolchain.fleet.agent.fleet_device import ship
from tests.toolchain.fleet.agent.fleet_web import Web, slow_head
from toolchain.fleet.agent.answers import HttpError, Limits, UnknownError, unreachable
from toolchain.fleet.agent.transport import HttpTransport


@pytest.fixture
def served(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/x").write_bytes(b"x" * 1000)
    web = Web(tmp_path / "files")
    yield web
    web.close()


def redirects_to(where):
    """Sends the header as it is; ``http.server`` would not."""

    def fault(handler, path):
        handler.wfile.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + where + b"\r\n\r\n")

    return fault


REDIRECTS = {
    "bracket": b"http://[",
    "no-address": b"http://[::g]/x",
    "letters": "/\xe9".encode("latin-1"),
    "utf-8": "/é".encode(),
    "blank": b"/x y",
    "escape": b"/\x1b[2J",
    "port": b"http://127.0.0.1:99999/x",
    "file": b"file:///etc/passwd",
    "ftp": b"ftp://127.0.0.1/x",
    "nothing": b"",
    "password": b"http://u:p@127.0.0.1/x",
}


@pytest.mark.parametrize("where", REDIRECTS.values(), ids=REDIRECTS)
def test_a_redirect_that_cannot_be_followed_is_not_to_be_trusted(served, where):
    served.faults["x"] = redirects_to(where)
    with pytest.raises(VerificationError, match="must stay on the same server") as caught:
        list(HttpTransport(served.url).get("x", 0, 1000))
    assert caught.value.seen.isprintable()


@pytest.mark.parametrize(
    ("base", "where"), [("https://h/", "http://h/x"), ("http://h/", "https://h/x"), ("https://h/", "//h:80/x")]
)
def test_a_redirect_never_changes_the_scheme(base, where):
    with pytest.raises(VerificationError, match="must stay on the same server"):
        HttpTransport(base)._redirected(f"{base}y", where)
    assert HttpTransport(base)._redirected(f"{base}y", f"{base}x") == f"{base}x"


def test_a_redirect_that_is_no_address_leaves_what_runs_alone(mirror, device, first, web):
    ship(mirror, 2)
    web.faults["blobs/"] = redirects_to(b"http://[")
    assert "must stay on the same server" in device.once(code=6)
    assert device.running() == 1


def test_a_second_try_is_as_short_as_the_first(served):
    """The kept connection was closed meanwhile; on the next one the head of the answer has no end."""
    transport = HttpTransport(served.url, Limits(patience=0.4))
    list(transport.get("x", 0, 1000))
    tries = []

    def fault(handler, path):
        tries.append(path)
        if len(tries) == 1:
            handler.close_connection = True
        else:
            with contextlib.suppress(OSError):
                slow_head(handler, path)

    served.faults["x"] = fault
    since = time.monotonic()
    with pytest.raises(UnreachableError, match="takes too long"):
        list(transport.get("x", 0, 1000))
    assert len(tries) == 2 and time.monotonic() - since < 10


EVIL = "\x1b[2J\x9b2J\u202ea\nb"


@pytest.mark.parametrize(("status", "kind"), [(500, HttpError), (401, UnknownError)])
def test_a_servers_words_cannot_move_the_cursor(served, status, kind):
    served.answers = lambda path, body: (
        status, {"wanted": f"w{EVIL}", "seen": EVIL, "allowed": EVIL, "next_step": EVIL}
    )  # fmt: skip
    with pytest.raises(kind) as caught:
        HttpTransport(served.url).post("v1/report", b"{}")
    error = caught.value
    assert all(text.isprintable() for text in (error.wanted, error.seen, error.allowed, error.next_step))
    assert error.wanted == "w [2J 2J a b"


def test_neither_can_the_words_of_a_status_line(served):
    served.faults["x"] = lambda handler, path: handler.wfile.write(b"HTTP/1.1 500 \x1b[2J\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(HttpError) as caught:
        list(HttpTransport(served.url).get("x", 0, 10))
    assert caught.value.seen == "500 [2J"
    assert unreachable("http://h/", ValueError("a\x1bb")).seen == "ValueError: a b"
