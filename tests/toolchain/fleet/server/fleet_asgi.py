"""An ASGI client without a network: paths arrive as they are, with their dots."""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import unquote


@dataclass
class Answer:
    status: int
    headers: dict = field(default_factory=dict)
    content: bytes = b""

    @property
    def text(self):
        return self.content.decode()


def scope(path, method="GET", headers=(), client=("192.0.2.1", 5)):
    coded = [(key.lower().encode(), value.encode()) for key, value in headers]
    return {
        "type": "http", "method": method, "path": unquote(path), "raw_path": path.encode(), "root_path": "",
        "scheme": "http", "query_string": b"", "headers": coded,
        "client": client, "server": ("fleet", 80), "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip


def ask(app, path, method="GET", body=b"", headers=(), client=("192.0.2.1", 5)):
    """One request with its whole body."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if not parts:
            await asyncio.sleep(60)  # the client waits for its answer, and does not hang up
        return parts.pop()

    return asyncio.run(converse(app, scope(path, method, headers, client), receive))


async def converse(app, request, receive):
    """The answer to a request whose body comes from ``receive``."""
    answer = Answer(0)

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {key.decode(): value.decode() for key, value in message["headers"]}
        elif message["type"] == "http.response.body":
            answer.content += message.get("body", b"")

    await app(request, receive, send)
    return answer
