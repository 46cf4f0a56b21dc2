"""A real nginx with our configuration: caches, ranges, limits, what is not served; and python-tuf's client."""

from __future__ import annotations

import http.server
import json
import os
import ssl
import subprocess
import threading
from pathlib import Path

import httpx
import pytest
from tuf.ngclient import Updater

from tests.toolchain.fleet.nginx.fleet_nginx import (
    BLOB,
    DIGEST,
    RELEASE,
    find_nginx,
    free_port,
    make_repository,
    running,
)
from toolchain.fleet.documents.report import MOST_REPORT
from toolchain.fleet.nginx.config import Settings, render

IMMUTABLE = "public, max-age=31536000, immutable"


class CheckIn(http.server.BaseHTTPRequestHandler):
    """Stands for `edgewright fleet serve`: says what came to it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        size = len(self.rfile.read(int(self.headers["Content-Length"])))
        told = {"path": self.path, "size": size, "for": self.headers["X-Forwarded-For"]}
        self._answer(json.dumps(told).encode())

    def do_GET(self):
        self._answer(b"the page")

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def first_root(site):
    return site[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Address and first root of a repository behind nginx, with a check-in server behind that."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    root = make_repository(folder / "repository")
    (folder / "repository/blobs/aa").mkdir()
    (folder / "secret").write_text("key")
    (folder / "repository/blobs/aa" / ("a" * 64)).symlink_to(folder / "secret")
    behind = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CheckIn)
    threading.Thread(target=behind.serve_forever, daemon=True).start()
    settings = Settings(
        folder / "repository", listen=(f"127.0.0.1:{port}",), upstream=f"127.0.0.1:{behind.server_address[1]}",
        status_from=("127.0.0.1/32",), checkins_per_second=5, burst=20, folder=folder / "nginx",
        user="root" if os.geteuid() == 0 else "",  # a test's folder is open to its owner only
    )  # fmt: skip
    with running(settings, port):
        yield f"http://127.0.0.1:{port}", root
    behind.shutdown()
    behind.server_close()


@pytest.fixture
def web(site):
    with httpx.Client(base_url=site[0], trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "cached"),
    [
        pytest.param("/metadata/timestamp.json", "no-store", id="timestamp"),
        pytest.param("/metadata/1.root.json", IMMUTABLE, id="root"),
        pytest.param("/metadata/1.snapshot.json", IMMUTABLE, id="snapshot"),
        pytest.param(f"/blobs/{DIGEST[:2]}/{DIGEST}", IMMUTABLE, id="blob"),
    ],
)
def test_what_may_be_cached(web, path, cached):
    answer = web.get(path)
    assert answer.status_code == 200, f"{path} is not served: {answer.status_code}"
    assert answer.headers.get_list("cache-control") == [cached], f"{path} has the wrong cache header"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["server"] == "nginx", "the server tells its version"
    assert "content-encoding" not in web.get(path, headers={"Accept-Encoding": "gzip"}).headers, "lengths are signed"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/metadata/2.root.json", id="next root"),
        pytest.param(f"/blobs/00/{'0' * 64}", id="missing blob"),
        pytest.param("/blobs/", id="listing"),
        pytest.param("/blobs/.half.tmp", id="temporary file"),
        pytest.param("/targets/releases/camera/1.json", id="target without its hash"),
        pytest.param("/metadata/../../secret", id="way out"),
        pytest.param("/metadata/%2e%2e/%2e%2e/secret", id="encoded way out"),
        pytest.param("/", id="front page"),
    ],
)
def test_what_is_missing_or_not_for_others_is_never_cached(web, path):
    answer = web.get(path)
    assert answer.status_code in (400, 403, 404), f"{path} is served: {answer.text[:80]}"
    assert answer.headers.get("cache-control", "no-store") == "no-store", f"caches may keep that {path} is missing"


def test_links_out_of_the_repository_are_not_followed(web):
    answer = web.get(f"/blobs/aa/{'a' * 64}")
    assert (answer.status_code, answer.headers["cache-control"]) == (403, "no-store"), "a link led out of the folder"


def test_ranges_resume_a_download(web):
    path = f"/blobs/{DIGEST[:2]}/{DIGEST}"
    rest = web.get(path, headers={"Range": "bytes=1000000-"})
    assert (rest.status_code, rest.content) == (206, BLOB[1000000:])
    assert rest.headers["content-range"] == f"bytes 1000000-{len(BLOB) - 1}/{len(BLOB)}"
    assert rest.headers["cache-control"] == IMMUTABLE
    assert web.get(path, headers={"Range": f"bytes={len(BLOB)}-"}).status_code == 416
    many = web.get(path, headers={"Range": "bytes=0-0,2-2,4-4"})
    assert "multipart" not in many.headers["content-type"], "many small ranges in one request cost the server much"
    assert web.get(path, headers={"If-None-Match": rest.headers["etag"]}).status_code == 304


def test_check_ins_reach_the_server_and_nothing_else_does(web):
    answer = web.post("/checkin/v1/report", content=b"x" * 1000, headers={"X-Forwarded-For": "6.6.6.6"})
    assert answer.json() == {"path": "/checkin/v1/report", "size": 1000, "for": "127.0.0.1"}, (
        "a device chose its own address"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert web.get("/checkin/v1/report").status_code == 403, "only POST goes through"
    assert web.post("/checkin/v1/other", content=b"").status_code == 404
    assert web.post("/metadata/timestamp.json", content=b"").status_code in (403, 405), "the repository is read-only"
    assert web.post("/checkin/v1/report", content=b"x" * (MOST_REPORT + 1)).status_code == 413
    assert web.get("/status").text == "the page"


def test_too_many_check_ins_of_one_address_are_told_so(web):
    codes = [web.post("/checkin/v1/enrol", content=b"x").status_code for _ in range(60)]
    assert codes[0] == 200 or 200 in codes[:5], f"the first check-ins did not pass: {codes}"
    assert codes[-1] == 429, f"60 check-ins at once were let through: {codes}"
    assert set(codes) == {200, 429}
    assert web.get("/metadata/timestamp.json").status_code == 200, "the limit of check-ins stopped downloads"


def test_the_client_of_python_tuf_through_nginx(site, tmp_path):
    (tmp_path / "targets").mkdir()
    client = Updater(
        str(tmp_path / "metadata"), f"{site[0]}/metadata/", str(tmp_path / "targets"), f"{site[0]}/targets/",
        bootstrap=site[1],
    )  # fmt: skip
    client.refresh()
    found = client.get_targetinfo("releases/camera/1.json")
    assert Path(client.download_target(found)).read_bytes() == RELEASE
    assert client.get_targetinfo("releases/camera/2.json") is None


@pytest.fixture
def certificate(tmp_path):
    """A certificate of localhost that nobody signed, and its key."""
    key, path = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", path],
        check=True, capture_output=True,
    )  # fmt: skip
    return path, key


def test_the_file_for_an_installed_nginx_is_accepted_with_tls(tmp_path, certificate):
    settings = Settings(
        tmp_path, "localhost", ("127.0.0.1:8443", "[::1]:8443"),
        certificate=certificate[0], certificate_key=certificate[1],
    )  # fmt: skip
    (tmp_path / "fleet.conf").write_text(render(settings))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; events {{}}\nhttp {{ access_log off; include {tmp_path}/fleet.conf; }}\n"
    )
    asked = [find_nginx(), "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", "stderr"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "test is successful" in done.stderr, f"nginx refuses the file:\n{done.stderr}"
    assert "warn" not in done.stderr, f"nginx warns:\n{done.stderr}"


def test_over_tls_it_says_that_tls_stays_and_refuses_old_versions(tmp_path, certificate):
    port = free_port()
    make_repository(tmp_path / "repository")
    settings = Settings(
        tmp_path / "repository", "localhost", (f"127.0.0.1:{port}",), certificate=certificate[0],
        certificate_key=certificate[1], folder=tmp_path / "nginx", user="root" if os.geteuid() == 0 else "",
    )  # fmt: skip
    modern = ssl.create_default_context(cafile=certificate[0])
    old = ssl.create_default_context(cafile=certificate[0])
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with running(settings, port):
        answer = httpx.get(f"https://localhost:{port}/blobs/{DIGEST[:2]}/{DIGEST}", verify=modern, trust_env=False)
        assert (answer.status_code, answer.content) == (200, BLOB)
        for path in ("/", "/metadata/timestamp.json", "/metadata/9.root.json", f"/blobs/{DIGEST[:2]}/{DIGEST}"):
            headers = httpx.get(f"https://localhost:{port}{path}", verify=modern, trust_env=False).headers
            assert "strict-transport-security" in headers, f"{path} does not say that TLS stays"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"https://localhost:{port}/", verify=old, trust_env=False)
