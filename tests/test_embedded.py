"""The embedded server, with real servers and real processes that share it, die and are killed."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from omniledger.embedded import EmbeddedServer, Endpoint, cluster, locks
from omniledger.errors import DatabaseError, LocalError
from omniledger.ports import free_port

PROJECT = Path(__file__).resolve().parent.parent

QUICK = {"fsync": "off", "full_page_writes": "off"}
"""These tests kill processes, not machines."""

OTHER_SERVERS = [
    *map(Path, filter(None, [os.environ.get("OMNILEDGER_TEST_PG_BIN")])),
    *Path("/usr/lib/postgresql").glob("*/bin"),
]

HOLD = f"""
import select, signal, sys
from pathlib import Path
from omniledger.embedded import EmbeddedServer
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored under a shell's `&`
server = EmbeddedServer(Path(sys.argv[1]), options={QUICK})
print(getattr(server, sys.argv[2])().port, flush=True)
# A read without end would lose a Ctrl-C that comes just before it.
while not select.select([sys.stdin], [], [], 0.1)[0]:
    pass
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that was never started."""
    server = EmbeddedServer(tmp_path / "pg", options=QUICK)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that was started and stopped once."""
    server = EmbeddedServer(tmp_path_factory.mktemp("made") / "pg", options=QUICK)
    with server.lease():
        pass
    return server.root


@pytest.fixture
def server(made: Path, fresh: EmbeddedServer) -> EmbeddedServer:
    """A server that was started and stopped once."""
    subprocess.run(("cp", "-a", made, fresh.root), check=True)
    return fresh


@contextmanager
def process(server: EmbeddedServer, use: str = "lease_for_process") -> Iterator[Any]:
    """Another process that uses the server until its standard input ends."""
    command = (sys.executable, "-c", HOLD, str(server.root), use)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=PROJECT, text=True, process_group=0, **pipes) as other:
        try:
            yield other
        finally:
            other.kill()


def port_of(other: Any) -> int:
    return int(other.stdout.readline())


def end(other: Any) -> None:
    other.stdin.close()
    assert other.wait(timeout=20) == 0


def eventually(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.005)


def connect(endpoint: Endpoint, **other: Any) -> psycopg.Connection[Any]:
    dsn = {name: getattr(endpoint, name) for name in ("host", "port", "user", "password", "dbname")}
    return psycopg.connect(**dsn | other, autocommit=True)


def ask(endpoint: Endpoint, question: str) -> Any:
    with connect(endpoint) as connection:
        row = connection.execute(question).fetchone()
        assert row is not None
        return row[0]


def kill_postmaster(server: EmbeddedServer) -> int:
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not server.status().running)
    return pid


def nothing_runs(server: EmbeddedServer) -> bool:
    """No process of PostgreSQL on the data, and no guard."""
    return all(locks.is_free(server.root / name) for name in ("running", "guard"))


def identity(server: EmbeddedServer) -> dict[str, Any]:
    """Whom PostgreSQL runs as, for `subprocess`."""
    if os.geteuid() != 0:
        return {}
    owner = (server.root / "data").stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": ()}


def kill_guard(server: EmbeddedServer) -> None:
    assert not locks.is_free(server.root / "guard")
    for process_folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (process_folder / "cmdline").read_text()
        except OSError:
            continue  # It ended meanwhile.
        if "server.guard" in command and str(server.root) in command:
            os.kill(int(process_folder.name), signal.SIGKILL)
    eventually(lambda: locks.is_free(server.root / "guard"))


def is_one_sentence(error: pytest.ExceptionInfo[Exception]) -> bool:
    text = str(error.value)
    return "\n" not in text and text.endswith(".") and "Traceback" not in text


@pytest.mark.parametrize("bin_dir", [None, *OTHER_SERVERS], ids=str)
def test_first_use_makes_a_database_of_its_own(tmp_path: Path, bin_dir: Path | None) -> None:
    server = EmbeddedServer(tmp_path / "pg", bin_dir, {**QUICK, "work_mem": "5MB"})
    assert not server.status().running
    with server.lease() as endpoint:
        status = server.status()
        assert (status.running, status.kept, status.port) == (True, False, endpoint.port)
        assert ask(endpoint, "show server_version").split()[0] == status.version
        assert ask(endpoint, "select current_database() || current_user") == "omniledger" * 2
        assert ask(endpoint, "select usesuper from pg_user where usename = user") is True
        assert ask(endpoint, "show server_encoding") == "UTF8"
        assert ask(endpoint, "show timezone") == "UTC"
        assert ask(endpoint, "show data_checksums") == "on"
        assert ask(endpoint, "show work_mem") == "5MB"
    assert not server.status().running


def test_user_data_are_durable_unless_told_otherwise(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "pg").lease() as endpoint:
        assert ask(endpoint, "show fsync") == "on"
        assert ask(endpoint, "show full_page_writes") == "on"


def test_secrets_are_the_owners_alone_whatever_the_umask(fresh: EmbeddedServer) -> None:
    before = os.umask(0)
    try:
        with fresh.lease() as endpoint:
            secret = fresh.root / "password"
            assert secret.read_text() == endpoint.password
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
            assert stat.S_IMODE((fresh.root / "server.log").stat().st_mode) == 0o600
            assert stat.S_IMODE((fresh.root / "data").stat().st_mode) == 0o700
            assert endpoint.password not in repr(endpoint)
    finally:
        os.umask(before)


def test_server_refuses_whoever_has_no_password(server: EmbeddedServer) -> None:
    with server.lease() as endpoint:
        for wrong in ("", "guessed"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                connect(endpoint, password=wrong)
        assert ask(endpoint, "show listen_addresses") == "127.0.0.1"
        assert ask(endpoint, "show unix_socket_directories") == ""
        assert ask(endpoint, "show password_encryption") == "scram-sha-256"
        rules = "select string_agg(distinct auth_method, ' ') from pg_hba_file_rules"
        assert ask(endpoint, rules) == "scram-sha-256"


def test_two_processes_share_it_and_the_last_one_out_stops_it(fresh: EmbeddedServer) -> None:
    with process(fresh) as first, process(fresh) as second:
        port = port_of(first)
        assert port_of(second) == port
        end(first)
        assert fresh.status().port == port
        with fresh.lease() as endpoint:
            assert ask(endpoint, "select 1") == 1
        assert fresh.status().port == port
        end(second)
        assert not fresh.status().running
    eventually(lambda: nothing_runs(fresh))


def test_without_its_guard_the_last_one_out_stops_it_too(server: EmbeddedServer) -> None:
    with process(server) as other:
        port_of(other)
        kill_guard(server)
        end(other)
        assert nothing_runs(server)


def test_a_lost_guard_is_replaced_by_the_next_user(server: EmbeddedServer) -> None:
    with process(server) as first:
        port_of(first)
        kill_guard(server)
        with process(server) as second:
            port_of(second)
            assert not locks.is_free(server.root / "guard")
    eventually(lambda: nothing_runs(server))


def test_a_lease_in_a_lease_stops_nothing(server: EmbeddedServer) -> None:
    with server.lease() as outer:
        with server.lease() as inner:
            assert inner == outer
        assert ask(outer, "select 1") == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_user_leaves_nothing(server: EmbeddedServer, how: signal.Signals) -> None:
    with process(server) as other:
        port_of(other)
        other.send_signal(how)
        other.wait(timeout=20)
    eventually(lambda: nothing_runs(server))


def test_a_killed_user_takes_nothing_from_the_others(fresh: EmbeddedServer) -> None:
    with process(fresh) as first, process(fresh) as second:
        port = port_of(first)
        assert port_of(second) == port
        first.kill()
        first.wait(timeout=20)
        second.kill()
        with fresh.lease() as endpoint:
            second.wait(timeout=20)
            assert ask(endpoint, "select 1") == 1
    eventually(lambda: nothing_runs(fresh))


def test_ctrl_c_in_the_command_that_started_it_takes_nothing_from_the_others(
    server: EmbeddedServer,
) -> None:
    log = server.root / "server.log"
    log.unlink()
    with process(server) as first:
        port_of(first)
        with server.lease() as endpoint:
            os.killpg(first.pid, signal.SIGINT)
            first.wait(timeout=20)
            assert ask(endpoint, "select 1") == 1
            assert "shutdown request" not in log.read_text()


def test_a_kept_server_goes_on_until_it_is_stopped(server: EmbeddedServer) -> None:
    with process(server, "keep") as other:
        port = port_of(other)
        end(other)
    assert server.status().kept
    with server.lease() as endpoint:
        assert ask(endpoint, "select 1") == 1
    assert server.status().port == port
    # What guarded the start ends too, as soon as nobody needs it.
    eventually(lambda: locks.is_free(server.root / "guard"))
    assert server.stop()
    assert nothing_runs(server)
    assert not server.stop()


def test_keeping_ends_with_the_server_that_was_kept(server: EmbeddedServer) -> None:
    server.keep()
    kill_postmaster(server)
    with server.lease():
        assert not server.status().kept
    assert not server.status().running


def test_killed_server_starts_again_with_what_was_committed(server: EmbeddedServer) -> None:
    with server.lease() as endpoint:
        with connect(endpoint) as connection:
            connection.execute("create table kept as select 7 as number")
        killed = kill_postmaster(server)
        with server.lease() as again:
            assert server.status().pid != killed
            assert ask(again, "select number from kept") == 7


def test_another_program_with_the_old_process_number_is_left_alone(server: EmbeddedServer) -> None:
    with server.lease():
        lines = (server.root / "data" / "postmaster.pid").read_text().splitlines()
    with subprocess.Popen(["sleep", "600"], **identity(server)) as stranger:
        pid_file = server.root / "data" / "postmaster.pid"
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
        assert not server.status().running
        assert not server.stop()
        with server.lease() as endpoint:
            assert ask(endpoint, "select 1") == 1
        assert stranger.poll() is None
        stranger.kill()


def test_the_port_stays_from_start_to_start(server: EmbeddedServer) -> None:
    ports = set()
    for _ in range(3):
        with server.lease() as endpoint:
            ports.add(endpoint.port)
        server.stop()
        assert not server.status().running
    assert len(ports) == 1


def test_a_port_taken_meanwhile_is_left_to_its_taker(server: EmbeddedServer) -> None:
    port = server.keep().port
    kill_postmaster(server)
    eventually(lambda: locks.is_free(server.root / "running"))
    with socket.create_server(("127.0.0.1", port)), server.lease() as endpoint:
        assert endpoint.port != port
        assert ask(endpoint, "select 1") == 1


def test_a_port_taken_during_the_start_costs_another_try(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answers = [taken.getsockname()[1]]
        monkeypatch.setattr(
            cluster, "free_port", lambda wanted: answers.pop() if answers else free_port(wanted)
        )
        with server.lease() as endpoint:
            assert ask(endpoint, "select 1") == 1
        assert not answers


@pytest.mark.parametrize(
    ("send", "how"), [(os.kill, signal.SIGKILL), (os.killpg, signal.SIGINT)], ids=["kill", "ctrl-c"]
)
def test_an_end_while_the_data_are_made_costs_another_try(
    fresh: EmbeddedServer, send: Callable[[int, int], None], how: signal.Signals
) -> None:
    with process(fresh) as other:
        eventually((fresh.root / "data.part" / "PG_VERSION").exists)
        send(other.pid, how)
        other.wait(timeout=20)
    assert not (fresh.root / "data").exists()
    with fresh.lease() as endpoint:
        assert ask(endpoint, "select 1") == 1
    assert not (fresh.root / "data.part").exists()
    eventually(lambda: nothing_runs(fresh))


def test_a_lost_password_is_replaced_at_the_next_start(server: EmbeddedServer) -> None:
    with server.lease() as endpoint:
        (server.root / "password").unlink()
        with pytest.raises(LocalError, match="stop the server"), server.lease():
            pass
        assert ask(endpoint, "select 1") == 1
    with server.lease() as again:
        assert again.password != endpoint.password
        assert ask(again, "select 1") == 1


def test_a_server_started_by_hand_is_not_touched(server: EmbeddedServer) -> None:
    with server.lease() as endpoint:
        pass
    settings = f"-p {endpoint.port} -c listen_addresses={endpoint.host} -k ''"
    pg_ctl = (server.bin_dir / "pg_ctl", "-s", "-D", server.root / "data")
    start = (*pg_ctl, "-l", "/dev/null", "-o", settings, "start")
    subprocess.run(start, check=True, **identity(server))
    try:
        with pytest.raises(LocalError, match="didn't start") as error, server.lease():
            pass
        assert is_one_sentence(error)
        assert not server.stop()
        assert ask(endpoint, "select 1") == 1
    finally:
        subprocess.run((*pg_ctl, "stop"), check=True, **identity(server))


def test_data_of_another_version_are_refused_and_left_alone(server: EmbeddedServer) -> None:
    with server.lease():
        made_by = server.root / "data" / "PG_VERSION"
        ours = made_by.read_text()
    made_by.write_text("9.6\n")
    with pytest.raises(LocalError, match=r"PostgreSQL 9\.6's .* version 9\.6") as error:
        server.keep()
    assert is_one_sentence(error)
    made_by.write_text(ours)
    with server.lease() as endpoint:
        assert ask(endpoint, "select 1") == 1


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalError, match="can't be used") as error:
        EmbeddedServer(tmp_path / folder).keep()
    assert is_one_sentence(error)
    assert str(tmp_path / folder) in str(error.value)


def test_missing_programs_are_one_sentence(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "pg", bin_dir=tmp_path)
    with pytest.raises(LocalError, match="programs postgres and initdb") as error:
        server.keep()
    assert is_one_sentence(error)
    eventually(lambda: nothing_runs(server))


def test_a_failed_start_says_the_servers_own_reason(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "pg", options={**QUICK, "max_connections": "many"})
    with pytest.raises(DatabaseError, match='invalid value for parameter "max_conn') as error:
        server.keep()
    assert is_one_sentence(error)
    assert (server.root / "password").read_text() not in str(error.value)
    eventually(lambda: nothing_runs(server))


def test_failing_to_make_the_data_says_the_programs_own_reason(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in {
        "postgres": "echo 18.6",
        "initdb": "echo FATAL:  no space; echo PANIC:  lost; exit 1",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    server = EmbeddedServer(tmp_path / "pg", programs)
    with pytest.raises(LocalError, match="initdb failed: no space") as error:
        server.keep()
    assert is_one_sentence(error)
    eventually(lambda: nothing_runs(server))


def test_a_private_folder_above_is_opened_for_passing_only(tmp_path: Path) -> None:
    private = tmp_path / "private"
    with EmbeddedServer(private / "pg", options=QUICK).lease() as endpoint:
        assert ask(endpoint, "select 1") == 1
    opened = 0o701 if os.geteuid() == 0 else 0o700
    assert stat.S_IMODE(private.stat().st_mode) == opened


def test_a_long_log_begins_anew(server: EmbeddedServer) -> None:
    log = server.root / "server.log"
    with server.lease():
        pass
    os.truncate(log, cluster.LOG_LIMIT + 1)
    with server.lease():
        assert 0 < log.stat().st_size < 100_000


def test_importing_it_brings_no_client_library() -> None:
    """The guard runs without site-packages, and every command imports this."""
    probe = "import sys; sys.path.append('.'); import omniledger.embedded; print(*sys.modules)"
    command = (sys.executable, "-I", "-S", "-c", probe)
    loaded = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    assert not {"psycopg", "sqlalchemy", "pydantic", "shutil"} & set(loaded.stdout.split())
