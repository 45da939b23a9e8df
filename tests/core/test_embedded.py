"""The embedded servers: found running, shared, survived and stopped. Each test has servers of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from core.embedded import MAX_CONNECTIONS, Embedded, NotEmbedded, Urls

ROOT = Path(__file__).parents[2]
OWNER = """
import sys
from pathlib import Path
from core.embedded import Embedded
Embedded(Path(sys.argv[1]), durable=False).start()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that an unprivileged user may reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="amends-embedded-"))
    folder.chmod(0o755)
    yield folder / "base"
    if list(folder.glob("base/*.sock")) or list(folder.glob("base/.s.*")):
        with Embedded(folder / "base", durable=False):
            pass  # the last one out stops what a failed test or a killed user left running
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder) in command_line(path)]
    shutil.rmtree(folder)


def command_line(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # the process has just ended


def setting(urls: Urls, name: str) -> str:
    with psycopg.connect(urls.database_url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row
    return str(row[0])


def store(urls: Urls, value: str) -> None:
    with psycopg.connect(urls.database_url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])
    with redis.Redis.from_url(urls.redis_url) as valkey:
        valkey.set("kept", value)


def stored(urls: Urls) -> tuple[str, str]:
    with psycopg.connect(urls.database_url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT value FROM kept").fetchone()
    with redis.Redis.from_url(urls.redis_url, decode_responses=True) as valkey:
        value = valkey.get("kept")
    assert row
    assert isinstance(value, str)
    return row[0], value


def answers(urls: Urls) -> bool:
    try:
        setting(urls, "timezone")
        with redis.Redis.from_url(urls.redis_url) as valkey:
            return bool(valkey.ping())
    except (psycopg.OperationalError, redis.ConnectionError):
        return False


def owner(base: Path) -> "subprocess.Popen[bytes]":
    """Return another process that has started the servers, or found them running."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(base)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == b"started\n"
    return process


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    assert process.stdin and process.stdout
    process.stdin.close()
    process.stdout.close()


def test_the_servers_start_durable_in_utc_and_reachable_only_through_their_folder(base: Path) -> None:
    with Embedded(base) as urls:
        assert urls.database_url.startswith("postgresql+psycopg://")
        assert setting(urls, "timezone") == "UTC"
        assert setting(urls, "max_connections") == str(MAX_CONNECTIONS)
        assert setting(urls, "synchronous_commit") == "on"
        assert setting(urls, "fsync") == "on"
        assert setting(urls, "listen_addresses") == ""
        assert base.stat().st_mode & 0o777 == 0o700
        with redis.Redis.from_url(urls.redis_url) as valkey:
            assert valkey.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_what_was_stored_is_there_after_a_restart(base: Path) -> None:
    with Embedded(base) as urls:
        store(urls, "first")
    assert not answers(urls)

    with Embedded(base) as urls:
        assert stored(urls) == ("first", "first")


def test_a_second_user_finds_the_servers_running_and_the_last_one_out_stops_them(base: Path) -> None:
    first, second = Embedded(base, durable=False), Embedded(base, durable=False)
    urls = first.start()
    running = base / "postgres" / "postmaster.pid"
    at_first = running.read_text()

    assert second.start() == urls
    assert running.read_text() == at_first

    first.stop()
    assert answers(urls)

    second.stop()
    second.stop()
    assert not answers(urls)


def test_a_stopped_user_can_start_again(base: Path) -> None:
    servers = Embedded(base, durable=False)

    servers.start()
    servers.stop()
    urls = servers.start()

    assert answers(urls)
    servers.stop()


def test_a_killed_owner_leaves_servers_that_the_next_user_finds_and_stops(base: Path) -> None:
    kill(owner(base))

    with Embedded(base, durable=False) as urls:
        assert answers(urls)

    assert not answers(urls)


def test_killed_servers_start_again_with_what_was_stored(base: Path) -> None:
    with Embedded(base, durable=False) as urls:
        store(urls, "kept")
        for pidfile in (base / "postgres/postmaster.pid", base / "valkey.pid"):
            os.kill(int(pidfile.read_text().split()[0]), signal.SIGKILL)
    assert not answers(urls)

    with Embedded(base, durable=False) as urls:
        assert stored(urls) == ("kept", "kept")


def test_a_pid_that_now_belongs_to_another_program_is_not_taken_for_the_server(base: Path) -> None:
    with Embedded(base, durable=False):
        pass
    for pidfile in (base / "postgres/postmaster.pid", base / "valkey.pid"):
        pidfile.write_text(f"{os.getpid()}\n")

    with Embedded(base, durable=False) as urls:
        assert answers(urls)


def test_a_zombie_that_nobody_reaps_is_not_taken_for_the_server(base: Path) -> None:
    with Embedded(base, durable=False) as urls:
        store(urls, "kept")
        for pidfile in (base / "postgres/postmaster.pid", base / "valkey.pid"):
            os.kill(int(pidfile.read_text().split()[0]), signal.SIGKILL)
        zombie = subprocess.Popen(["true"], user=base.stat().st_uid)
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        for lock in (base / "postgres/postmaster.pid", base / ".s.PGSQL.5432.lock"):
            lock.write_text(f"{zombie.pid}\n{lock.read_text().partition(chr(10))[2]}")
            os.chown(lock, base.stat().st_uid, base.stat().st_gid)

    with Embedded(base, durable=False) as urls:
        assert stored(urls) == ("kept", "kept")
    zombie.wait()


def test_users_that_start_at_the_same_moment_share_one_pair_of_servers(base: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OWNER, str(base)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]

    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == b"started\n"

    for process in processes:
        kill(process)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 warns of a fork beside threads
def test_a_forked_child_that_leaves_does_not_stop_the_servers(base: Path) -> None:
    servers = Embedded(base, durable=False)
    urls = servers.start()
    child = os.fork()
    if child == 0:
        servers.stop()
        os._exit(0)

    os.waitpid(child, 0)

    assert answers(urls)
    servers.stop()


def test_a_cluster_whose_making_was_interrupted_is_made_anew(base: Path) -> None:
    with Embedded(base, durable=False):
        pass
    (base / "postgres").rename(base / "postgres.unfinished")
    shutil.rmtree(base / "postgres.unfinished/global")

    with Embedded(base, durable=False) as urls:
        assert answers(urls)


def test_data_of_another_version_is_refused_by_name(base: Path) -> None:
    with Embedded(base, durable=False):
        pass
    version = base / "postgres/PG_VERSION"
    ours = version.read_text()
    version.write_text("9\n")

    with pytest.raises(NotEmbedded, match="data of PostgreSQL 9"):
        Embedded(base, durable=False).start()

    version.write_text(ours)


def test_a_long_path_is_given_sockets_of_its_own(base: Path) -> None:
    deep = base.parent / ("deep" * 25)

    with Embedded(deep, durable=False) as urls:
        assert answers(urls)
        sockets = Path(urls.redis_url.removeprefix("unix://")).parent

    shutil.rmtree(sockets)


def test_a_folder_that_belongs_to_somebody_else_is_refused(base: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of somebody else")
    base.mkdir()
    os.chown(base, 1, 1)

    with pytest.raises(NotEmbedded, match="belongs to somebody else"):
        Embedded(base)

    os.chown(base, 0, 0)
