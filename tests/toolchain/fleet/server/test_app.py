"""The ASGI application: what it shows, what it does not, and how it reads bodies."""

import asyncio
import dataclasses
import json
from urllib.parse import quote

import pytest

from profiles.errors import ConfigError
from tests.toolchain.fleet.fleet_homes import make_fleet
from tests.toolchain.fleet.fleet_people import Person, Watch, enrol
from tests.toolchain.fleet.server.fleet_asgi import ask, converse, scope
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.report import Answer
from toolchain.fleet.server import app as module
from toolchain.fleet.server.app import make_app
from toolchain.fleet.server.checkin import CheckIn
from toolchain.fleet.server.serving import INTERVALS, Setup, limits_for, serve
from toolchain.fleet.store import Store


@pytest.fixture
def opened(tmp_path):
    with Store(f"sqlite:///{tmp_path / 'fleet.db'}") as store:
        yield store


@pytest.fixture
def app(opened, tmp_path):
    repository = tmp_path / "repository"
    (repository / "metadata").mkdir(parents=True)
    (repository / "metadata" / "timestamp.json").write_text("{}")
    (repository / "blobs" / "ab").mkdir(parents=True)
    (repository / "blobs" / "ab" / "abcd").write_bytes(bytes(range(100)))
    (repository / "secret.txt").write_text("PRIVATE")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "key.pem").write_text("PRIVATE")
    (repository / "metadata" / "link").symlink_to(tmp_path / "keys" / "key.pem")
    return make_app(CheckIn(opened, Watch()), repository, prefix="/checkin/", page=lambda: "<p>page</p>", everyone=True)


def test_the_repository_is_there_and_resumes(app):
    assert ask(app, "/metadata/timestamp.json").text == "{}"
    part = ask(app, "/blobs/ab/abcd", headers=[("Range", "bytes=90-")])
    assert (part.status, part.content) == (206, bytes(range(90, 100)))


HIDDEN = [
    "/", "/secret.txt", "/keys/key.pem", "/metadata/../secret.txt", "/metadata/../../keys/key.pem", "/fleet.db",
    "/metadata/link", "/metadata", "/blobs/ab/", "/targets/x", "/metadata//etc/passwd", "//etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("coded", [False, True], ids=["as it is", "percent"])
@pytest.mark.parametrize("path", HIDDEN)
def test_nothing_else_is_there(app, path, coded):
    answer = ask(app, quote(path, safe="/").replace("..", "%2e%2e") if coded else path)
    assert answer.status in (404, 405), f"{path} gives {answer.status}"
    assert b"PRIVATE" not in answer.content


@pytest.mark.parametrize("place", ["/v1/report", "/checkin/v1/report"])
def test_devices_check_in(app, opened, place):
    person = enrol(opened, Person("a"))
    answer = ask(app, place, "POST", person.said(1))
    assert (answer.status, json.loads(answer.text)["counter"]) == (200, 1)
    assert answer.headers["cache-control"] == "no-store"


def test_other_methods_and_paths_are_refused(app):
    assert ask(app, "/v1/report").status == 405
    assert ask(app, "/v1/nothing", "POST", b"{}").status == 404
    assert ask(app, "/metadata/timestamp.json", "POST", b"{}").status == 405


def test_an_endless_body_is_cut_at_the_limit(app):
    sent = 0

    async def receive():
        nonlocal sent
        sent += 1 << 14
        assert sent < 1 << 20, "it is read without end"
        return {"type": "http.request", "body": b"x" * (1 << 14), "more_body": True}

    assert asyncio.run(converse(app, scope("/v1/report", "POST"), receive)).status == 413


def test_a_body_that_trickles_is_given_up(app, monkeypatch):
    monkeypatch.setattr(module, "SLOW", 0.05)

    async def receive():
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert asyncio.run(converse(app, scope("/v1/report", "POST"), receive)).status == 408


def test_the_page_is_for_this_machine_unless_told_otherwise(app, opened, tmp_path):
    shown = ask(app, "/status")
    assert (shown.text, shown.headers["content-type"]) == ("<p>page</p>", "text/html; charset=utf-8")
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    private = make_app(CheckIn(opened, Watch()), tmp_path, page=lambda: "page")
    assert ask(private, "/status").status == 404
    assert ask(private, "/status", client=("127.0.0.1", 5)).text == "page"
    assert ask(make_app(CheckIn(opened, Watch()), tmp_path), "/status", client=("127.0.0.1", 5)).status == 404


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan"), 6.1 * 86400, float("inf")])
def test_an_interval_that_no_answer_can_carry_is_refused(interval):
    with pytest.raises(ConfigError, match="between two check-ins"):
        Setup(interval=interval)


@pytest.mark.parametrize("interval", [*INTERVALS, 1.0, 60.0])
def test_a_device_that_comes_as_often_as_it_is_told_is_never_refused(tmp_path, interval):
    watch, person = Watch(), Person("a")
    with Store("sqlite://") as store:
        enrol(store, person)
        limits = dataclasses.replace(limits_for(interval), address_burst=1e6)
        checkin = CheckIn(store, watch, limits, interval)
        for counter in range(1, 60):
            status, answer = checkin.handle("v1/report", person.said(counter), "192.0.2.1")
            assert status == 200, answer
            watch.now += strict.from_bytes(Answer, answer).next


def started(monkeypatch, home, page):
    """What the application and uvicorn are made with."""
    seen = {}
    monkeypatch.setattr("toolchain.fleet.server.app.make_app", lambda *_, **more: seen.update(more))
    monkeypatch.setattr("uvicorn.Config", lambda *_, **more: seen.update(more))
    monkeypatch.setattr("uvicorn.Server", lambda config: None)
    monkeypatch.setattr("toolchain.fleet.server.serving._run", lambda *_: None)
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)
    with Store("sqlite://") as store:
        serve(home, store, Setup(port=0, page=page))
    return seen


@pytest.mark.parametrize(("page", "everyone"), [("auto", False), ("everyone", True), ("nobody", False)])
def test_the_page_is_for_everyone_only_when_asked(monkeypatch, tmp_path, page, everyone):
    seen = started(monkeypatch, make_fleet(tmp_path / "fleet").home, page)
    assert seen["everyone"] is everyone
    assert (seen["page"] is None) == (page == "nobody")
    assert seen["forwarded_allow_ips"] == "127.0.0.1,::1", "a proxy on ::1 names those who ask, too"
