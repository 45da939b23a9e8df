"""A process that has imported the program once and forks a command of it whenever it is told to.

What it starts is the real command, `flask --app wsgi worker messages`, in a process of its own; only the seconds of
importing are saved, so that a test can kill a worker every two seconds and start the next.

stdin, a line of JSON each: {"start": [arguments of flask], "log": path} or {"ask": pid}; stdout: the pid, or how it
ended (the exit code, or minus the signal), or null while it runs. It ends with its stdin, and with it what it started.
"""

import json
import os
import signal
import sys
from types import FrameType
from typing import Any

import wsgi  # noqa: F401  # imported here, so that no child needs to

ended: dict[int, int] = {}
running: set[int] = set()


def reap(_signal: int, _frame: FrameType | None) -> None:
    for pid in list(running):
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            ended[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            running.discard(pid)


def start(arguments: list[str], log: str) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the child is born without the handler
    pid = os.fork()
    if pid == 0:
        become(arguments, log)
    running.add(pid)
    signal.signal(signal.SIGCHLD, reap)
    reap(0, None)  # who ended in between
    return pid


def become(arguments: list[str], log: str) -> None:
    """Be the command until it ends; never return."""
    code = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for standard in (1, 2):
            os.dup2(out, standard)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = ["flask", "--app", "wsgi", *arguments]
        from flask.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def answer(told: dict[str, Any]) -> int | None:
    if "start" in told:
        return start(told["start"], told["log"])
    return ended.get(told["ask"])


def main() -> None:
    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
