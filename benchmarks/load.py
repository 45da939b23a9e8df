"""The load generator: processes that hold kept connections and send requests prepared beforehand, nothing else.

A *visit* is a list of requests sent one after the other on one connection; a request is bytes, or a function that makes
it of the answer before it (the yardstick's form carries a token). It costs about 20 us a request, the same for whoever
is measured.
"""

from __future__ import annotations

import multiprocessing
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

Request = bytes | Callable[[bytes], bytes]
Visit = Sequence[Request]

PROCESSES = 2
CONNECTIONS = 8
"""Of each process: enough to keep 2 workers with 4 threads busy, few enough not to be refused."""

SILENCE_SECONDS = 60.0
HEADERS = "Host: 127.0.0.1\r\nUser-Agent: bench\r\nAccept-Language: en\r\n"


@dataclass
class Run:
    """What one run saw: `seconds` from the first request to the last answer, `took` of each visit in seconds."""

    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Visits per second."""
        return len(self.took) / self.seconds

    def percentile(self, percent: float) -> float:
        """Return the seconds within which `percent` of the visits were done."""
        ordered = sorted(self.took)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def get(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return f"GET {path} HTTP/1.1\r\n{HEADERS}{more}\r\n".encode()


def post(path: str, fields: Mapping[str, Any] | Sequence[tuple[str, str]]) -> bytes:
    return sent(path, urlencode(fields).encode(), "application/x-www-form-urlencoded")


def sent(path: str, body: bytes, content_type: str, headers: str = "") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\n{HEADERS}{headers}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run(port: int, visits: Sequence[Visit], *, processes: int = PROCESSES, connections: int = CONNECTIONS) -> Run:
    """Send all visits, spread over processes and connections, as fast as they are answered.

    Raises RuntimeError when a connection breaks or stays silent: such a run measures nothing.
    """
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(processes)
    workers = []
    for place in range(processes):
        mine, theirs = context.Pipe(duplex=False)
        share = visits[place::processes]
        worker = context.Process(target=_send_all, args=(port, share, connections, gate, theirs), daemon=True)
        worker.start()
        theirs.close()
        workers.append((worker, mine))
    found = [_received(mine) for _worker, mine in workers]
    for worker, _mine in workers:
        worker.join()
    seconds = max(ended for _begun, ended, *_ in found) - min(begun for begun, *_ in found)
    statuses: Counter[int] = Counter()
    took: list[float] = []
    for _begun, _ended, counted, lasted in found:
        statuses += counted
        took += lasted
    return Run(seconds, statuses, took)


def _received(pipe: Any) -> tuple[float, float, Counter[int], list[float]]:
    try:
        found = pipe.recv()
    except EOFError:
        raise RuntimeError("A process of the load generator died.") from None
    if isinstance(found, str):
        raise RuntimeError(f"The load generator gave up: {found}")
    return found


def _send_all(port: int, visits: Sequence[Visit], connections: int, gate: Any, pipe: Any) -> None:
    try:
        lines = [_Line(port) for _ in range(min(connections, len(visits)))]
        gate.wait(SILENCE_SECONDS)
        pipe.send(_talk(lines, iter(visits)))
    except Exception as error:  # the process's edge: whoever waits for the figures is told
        pipe.send(f"{type(error).__name__}: {error}")


def _talk(lines: Sequence[_Line], visits: Iterator[Visit]) -> tuple[float, float, Counter[int], list[float]]:
    statuses: Counter[int] = Counter()
    took: list[float] = []
    waiting = select.epoll()
    by_number = {line.socket.fileno(): line for line in lines}
    begun = time.monotonic()
    for number, line in list(by_number.items()):
        line.begin(next(visits))
        waiting.register(number, select.EPOLLIN)
    open_lines = len(lines)
    while open_lines:
        ready = waiting.poll(SILENCE_SECONDS)
        if not ready:
            raise TimeoutError(f"no answer for {SILENCE_SECONDS:g} s")
        for number, _events in ready:
            line = by_number[number]
            status = line.read()
            if status is None:
                continue
            statuses[status] += 1
            if line.goes_on():
                continue
            took.append(time.monotonic() - line.begun)
            if (visit := next(visits, None)) is not None:
                line.begin(visit)
            else:
                waiting.unregister(number)
                open_lines -= 1
    return begun, time.monotonic(), statuses, took


class _Line:
    """One kept connection and the visit under way on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SILENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun = 0.0
        self._visit: Iterator[Request] = iter(())
        self._got = b""
        self._length = -1  # of the whole answer; -1: its head is not here yet

    def begin(self, visit: Visit) -> None:
        self._visit = iter(visit)
        self.begun = time.monotonic()
        self._send(next(self._visit))

    def goes_on(self) -> bool:
        """Send the visit's next request; False where there is none."""
        following = next(self._visit, None)
        if following is None:
            return False
        self._send(following)
        return True

    def _send(self, request: Request) -> None:
        whole = request if isinstance(request, bytes) else request(self._got)
        self._got, self._length = b"", -1
        self.socket.sendall(whole)

    def read(self) -> int | None:
        """Take in what came; return the status once the answer is complete."""
        more = self.socket.recv(262144)
        if not more:
            raise ConnectionError("the server closed a kept connection")
        self._got += more
        if self._length < 0:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return None
            self._length = end + 4 + _content_length(self._got[:end].lower())
        return int(self._got[9:12]) if len(self._got) >= self._length else None


def _content_length(head: bytes) -> int:
    start = head.find(b"\r\ncontent-length:")
    if start < 0:
        if head[9:12] in (b"204", b"304"):
            return 0
        raise ValueError("an answer without Content-Length")
    return int(head[start + 17 :].split(b"\r\n", 1)[0])
