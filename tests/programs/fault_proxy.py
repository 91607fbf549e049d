"""A server between a program and an S3 server, which answers some of the calls wrongly."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, get_args
from urllib.parse import urlsplit

Fault = Literal["500", "503", "error", "reset", "lost", "cut", "html", "slow", "silent", "stalled"]
SILENT: tuple[Fault, ...] = ("silent", "stalled")
FAULTS: tuple[Fault, ...] = tuple(fault for fault in get_args(Fault) if fault not in SILENT)
_PAGE = b"<html><body>Welcome. Please sign in.</body></html>"
_CODES = {"500": (500, "InternalError"), "503": (503, "SlowDown"), "error": (200, "InternalError")}


class FaultProxy:
    """`fault` says, of the number of a call, from 0, what becomes of it; None for the right answer.

    500, 503: as an S3 server says it; error: such an error in an answer of status 200. reset: the connection is cut
    before the call is passed on; lost: after it was carried out; cut: in the middle of the answer. html: 200 with a
    page. slow: `delay` seconds later. silent: never; stalled: the first half, and then no more.
    """

    def __init__(self, server: str) -> None:
        self.server = urlsplit(server).netloc
        self.fault: Callable[[int], Fault | None] = lambda _number: None
        self.delay = 0.0
        self.calls: list[str] = []
        self._counting = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _begin(self, call: str) -> Fault | None:
        with self._counting:
            self.calls.append(call)
            return self.fault(len(self.calls) - 1)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body of an answer are two packets, and with it the second waits 40 ms.
            disable_nagle_algorithm = True

            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = proxy._begin(f"{self.command} {self.path}")
                if fault == "reset":
                    self._cut()
                elif fault == "html":
                    self._answer(200, {"Content-Type": "text/html"}, _PAGE)
                elif fault in _CODES:
                    status, code = _CODES[fault]
                    text = f"<Error><Code>{code}</Code><Message>Please try again.</Message></Error>"
                    self._answer(status, {"Content-Type": "application/xml"}, text.encode())
                elif fault == "silent":
                    self._wait_for_the_end()
                else:
                    if fault == "slow":
                        time.sleep(proxy.delay)
                    status, headers, content = self._passed_on(body)
                    if fault == "lost":
                        self._cut()
                    else:
                        self._answer(status, headers, content, ended=fault not in ("cut", "stalled"))
                        if fault == "cut":
                            self._cut()
                        elif fault == "stalled":
                            self._wait_for_the_end()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_any

            def _passed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
                server = http.client.HTTPConnection(proxy.server, timeout=60)
                try:
                    server.request(self.command, self.path, body, dict(self.headers))
                    answer = server.getresponse()
                    return answer.status, dict(answer.getheaders()), answer.read()
                finally:
                    server.close()

            def _answer(self, status: int, headers: dict[str, str], content: bytes, *, ended: bool = True) -> None:
                self.send_response_only(status)
                if self.command != "HEAD":
                    headers = {**headers, "Content-Length": str(len(content) + (not ended))}
                for name, value in headers.items():
                    if name.lower() not in ("transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content if ended else content[: len(content) // 2])
                self.wfile.flush()

            def _wait_for_the_end(self) -> None:
                """Until the caller hangs up."""
                self.close_connection = True
                self.connection.recv(1)

            def _cut(self) -> None:
                self.wfile.flush()
                self.close_connection = True
                # Closed with time zero to linger, a connection is reset and not ended.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def finish(self) -> None:
                try:
                    super().finish()
                except OSError:
                    self.close_connection = True

            def log_message(self, *_arguments: object) -> None:
                """Nothing: the calls are in `calls`."""

        return Handler
