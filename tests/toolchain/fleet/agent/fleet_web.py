"""A web server on loopback that serves a folder, with Range, and does wrong when asked to."""

import contextlib
import http.server
import json
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        web = self.server.web
        path = self.path.lstrip("/").partition("?")[0]
        web.asked.append((path, self.headers.get("Range", "")))
        fault = next((act for word, act in web.faults.items() if word in path), None)
        with contextlib.suppress(ConnectionError):
            if fault is not None and fault(self, path) is not False:
                return
            self.serve(path)

    def serve(self, path):
        file = self.server.web.folder / path
        if not file.is_file():
            self.send_error(404)
            return
        content, status, start = file.read_bytes(), 200, 0
        if text := self.headers.get("Range", ""):
            start, status = int(text.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(content):
                self.send_error(416)
                return
        self.answer(status, content[start:])

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        web = self.server.web
        body = self.rfile.read(int(self.headers["Content-Length"]))
        web.posted.append((self.path, json.loads(body)))
        status, answer = web.answers(self.path, json.loads(body))
        self.answer(status, json.dumps(answer).encode())


class Web:
    """Serves ``folder``; ``faults`` maps a part of a path to what is done instead (False: serve all the same)."""

    def __init__(self, folder):
        self.folder, self.asked, self.posted, self.faults = folder, [], [], {}
        self.answers = lambda path, body: (200, {"schema": 1, "next": 60.0, "counter": 1})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.web = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def fetched(self, word):
        return [path for path, _ in self.asked if word in path]


def endless(handler, path):
    """Never stops sending."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    block = b"A" * (1 << 16)
    for _ in range(4096):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))


def dripping(handler, path):
    """What was asked for, a byte now and then."""
    content = (handler.server.web.folder / path).read_bytes()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    for byte in content:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.05)


def slow_head(handler, path):
    """Headers that never end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(2000):
        handler.wfile.write(b"X-%d: y\r\n" % number)
        handler.wfile.flush()
        time.sleep(0.05)


def slow_chunks(handler, path):
    """The length of a chunk that never comes to its end, on a connection that is to be closed."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.send_header("Connection", "close")
    handler.end_headers()
    for _ in range(2000):
        handler.wfile.write(b"0")
        handler.wfile.flush()
        time.sleep(0.05)
