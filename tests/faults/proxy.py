"""A reverse proxy that fails on demand: what stands between a task and a real server, MLflow or S3, in the tests."""

from __future__ import annotations

import http.client
import http.server
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

# "before": the server never hears of the request. "after": it has carried it out, and the answer is lost. "cut": half
# of the answer comes. "half": the server gets half of the body.
Mode = Literal[
    "refuse",
    *("hang before", "hang after", "reset before", "reset after"),
    *("500 before", "502 before", "503 before", "503 after", "504 after"),
    *("429 before", "trickle", "drip", "cut", "half"),
]
HELD_SECONDS = 120
# Between the bytes of an answer: one that comes slowly, and one that never comes to its end in time.
PAUSE_SECONDS = {"trickle": 0.001, "drip": 1.0}


@dataclass
class Fault:
    """What goes wrong with requests whose line, ``GET /path?query``, holds `path`, the next `times` times."""

    mode: Mode
    path: str
    times: int
    struck: int = 0
    needs: str = ""  # further text that the line must hold


@dataclass
class FaultyProxy:
    """A proxy before `target`; all is well until :meth:`fail` says otherwise."""

    target: str
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    forwarded: Counter[str] = field(default_factory=Counter)
    lifted: threading.Event = field(default_factory=threading.Event)
    _server: http.server.ThreadingHTTPServer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, mode: Mode, *, path: str = "", times: int = 1_000_000) -> Fault:
        """Begin to fail."""
        fault = Fault(mode, path, times)
        if mode == "refuse":
            self.close()
        self.lifted.clear()
        self.faults.append(fault)
        return fault

    def lift(self) -> None:
        """Let everything through again, and let go of what was held."""
        self.faults.clear()
        self.lifted.set()
        if self._server is None:
            self.open()

    def open(self) -> None:
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.lifted.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def next_fault(self, line: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.path in line and fault.needs in line and fault.struck < fault.times:
                    fault.struck += 1
                    return fault
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    proxy: FaultyProxy
    # Of which clients of S3 need that a large body is asked for; a connection still serves one request alone.
    protocol_version = "HTTP/1.1"

    def pass_on(self) -> None:
        path = urlsplit(self.path).path
        body = self.body()
        fault = self.proxy.next_fault(f"{self.command} {self.path}")
        kind, _, when = ("", "", "") if fault is None else fault.mode.partition(" ")
        if when == "before":
            self.fail(kind)
            return
        if kind == "half":
            self.forward_half(body)
            self.fail("reset")
            return
        status, headers, answer = self.forward(body)
        self.proxy.forwarded[f"{self.command} {path}"] += 1
        if when == "after":
            self.fail(kind)
            return
        self.answer(status, headers, answer, pause_seconds=PAUSE_SECONDS.get(kind, 0.0), cut=kind == "cut")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815 - the standard library's names

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(chunks)

    def forward_half(self, body: bytes) -> None:
        upstream = http.client.HTTPConnection(urlsplit(self.proxy.target).netloc, timeout=60)
        upstream.putrequest(self.command, self.path)
        for key, value in {**self.headers, "Content-Length": str(len(body))}.items():
            if key.lower() not in ("host", "connection", "transfer-encoding", "expect", "accept-encoding"):
                upstream.putheader(key, value)
        upstream.endheaders()
        upstream.send(body[: len(body) // 2])
        upstream.close()

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection(urlsplit(self.proxy.target).netloc, timeout=60)
        headers = {
            key: value
            for key, value in self.headers.items()
            if key.lower() not in ("host", "connection", "transfer-encoding", "expect")
        }
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        text = answer.read()
        upstream.close()
        return answer.status, dict(answer.getheaders()), text

    def fail(self, kind: str) -> None:
        self.close_connection = True
        if kind == "hang":
            self.proxy.lifted.wait(HELD_SECONDS)
        elif kind == "reset":
            # No linger: the kernel answers with RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            headers = {"Retry-After": "3600"} if kind == "429" else {}
            self.answer(int(kind), headers, b'{"error_code": "FAULT", "message": "injected"}')

    def answer(
        self, status: int, headers: dict[str, str], body: bytes, *, pause_seconds: float = 0.0, cut: bool = False
    ) -> None:
        self.send_response(status)
        for key, value in headers.items():
            if key.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                self.send_header(key, value)
        # The answer to HEAD has no body, and says how long that of GET is.
        self.send_header("Connection", "close")
        if self.command == "HEAD":
            self.send_header("Content-Length", headers.get("Content-Length", "0"))
            body = b""
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cut:
            self.wfile.write(body[: len(body) // 2])
            self.fail("reset")
        elif pause_seconds:
            for place in range(len(body)):
                self.wfile.write(body[place : place + 1])
                self.wfile.flush()
                time.sleep(pause_seconds)
        else:
            self.wfile.write(body)

    def finish(self) -> None:
        with suppress(OSError, ValueError):  # the connection may have been reset on purpose
            super().finish()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """Yield an open proxy before the server at `target`."""
    proxy = FaultyProxy(target)
    proxy.open()
    try:
        yield proxy
    finally:
        proxy.close()
