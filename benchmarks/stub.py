"""A mail provider that takes everything at once: it reads a request to its end, answers 202, and keeps the body."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from itertools import count
from pathlib import Path
from types import TracebackType

from benchmarks.ground import free_port


class Stub:
    """The stub in a process of its own. `bodies()` are those taken while `keep` named a folder that exists."""

    def __init__(self, keep: Path) -> None:
        self.port = free_port()
        self.keep = keep
        self._process = multiprocessing.get_context("fork").Process(target=_serve, args=(self.port, keep), daemon=True)

    @property
    def settings(self) -> dict[str, str]:
        return {"SENDGRID_API_KEY": "SG.bench", "SENDGRID_HOST": f"http://127.0.0.1:{self.port}"}

    def bodies(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.keep.iterdir())]

    def __enter__(self) -> Stub:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()


def _serve(port: int, keep: Path) -> None:
    numbers = count()
    with socket.create_server(("127.0.0.1", port)) as door:
        while True:
            line, _ = door.accept()
            threading.Thread(target=_answer, args=(line, keep, numbers), daemon=True).start()


def _answer(line: socket.socket, keep: Path, numbers: count[int]) -> None:
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with line, line.makefile("rb", buffering=1 << 20) as lines:
        while head := lines.readline():
            length = 0
            while (head := lines.readline()) not in (b"\r\n", b""):
                if head.lower().startswith(b"content-length:"):
                    length = int(head.partition(b":")[2])
            body, number = lines.read(length), next(numbers)
            line.sendall(b"HTTP/1.1 202 Accepted\r\nX-Message-Id: stub-%d\r\nContent-Length: 0\r\n\r\n" % number)
            if keep.is_dir():
                (keep / f"{number:06d}").write_bytes(body)
