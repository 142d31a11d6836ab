"""A small load generator: keep-alive connections to loopback, bounded in number and time, one thread."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

HOST = "127.0.0.1"


@dataclass(slots=True)
class Round:
    """What came back in one round. ``seconds`` runs from the first request to the last answer."""

    answers: int = 0
    seconds: float = 0.0
    bad: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.answers / self.seconds if self.seconds else 0.0


class _Connection:
    """One connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.missing = -1  # bytes of the answer still to come; -1 while its head is not read

    def send(self, request: bytes) -> None:
        self.buffer, self.missing = b"", -1
        self.socket.sendall(request)

    def read(self) -> bool:
        """Take what is there; True when the answer is whole."""
        got = self.socket.recv(262144)
        if not got:
            raise ConnectionError("the server closed the connection")
        self.buffer += got
        if self.missing < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            if at < 0:
                return self.buffer.endswith(b"0\r\n\r\n")  # chunked
            self.missing = int(head[at + 15 :].split(b"\r\n", 1)[0]) + end + 4
        return len(self.buffer) >= self.missing


def run(port: int, requests: Iterator[bytes], *, connections: int, seconds: float, patience: float = 15.0) -> Round:
    """Keep every connection busy for so many seconds, then wait for what is under way."""
    made = Round()
    selector = selectors.DefaultSelector()
    open_ones = [_Connection(port) for _ in range(connections)]
    began = time.perf_counter()
    for one in open_ones:
        one.send(next(requests))
        selector.register(one.socket, selectors.EVENT_READ, one)
    busy, end = connections, began + seconds
    try:
        while busy:
            ready = selector.select(timeout=1.0)
            now = time.perf_counter()
            if now > end + patience:
                made.bad.append(f"{busy} requests had no answer within {patience:.0f} s")
                break
            for key, _ in ready:
                if not key.data.read():
                    continue
                made.answers += 1
                if key.data.buffer[9:10] != b"2":
                    made.bad.append(key.data.buffer[:300].decode(errors="replace"))
                if now < end:
                    key.data.send(next(requests))
                else:
                    busy -= 1
    finally:
        made.seconds = time.perf_counter() - began
        selector.close()
        for one in open_ones:
            one.socket.close()
    return made


def ask(port: int, request: bytes, *, timeout: float = 30.0) -> tuple[int, object]:
    """One request: status and parsed JSON."""
    one = _Connection(port)
    one.socket.settimeout(timeout)
    try:
        one.send(request)
        while not one.read():
            pass
    finally:
        one.socket.close()
    head, _, body = one.buffer.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        body = _joined(body)
    return int(head.split()[1]), json.loads(body)


def each(port: int, request: bytes, *, times: int) -> list[float]:
    """The seconds that each of ``times`` equal requests took, one after the other on one connection."""
    one = _Connection(port)
    found = []
    try:
        for _ in range(times):
            began = time.perf_counter()
            one.send(request)
            while not one.read():
                pass
            found.append(time.perf_counter() - began)
            if one.buffer[9:10] != b"2":
                raise SystemExit(f"A request failed: {one.buffer[:300].decode(errors='replace')}")
    finally:
        one.socket.close()
    return found


def _joined(chunks: bytes) -> bytes:
    whole = b""
    while True:
        size, _, rest = chunks.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            return whole
        whole, chunks = whole + rest[:count], rest[count + 2 :]
