"""One folder of PostgreSQL data, and the server process that works on it.

Whoever calls this holds the lock that `server` decides under, so nobody else starts or stops.

The file lock `running` is inherited by every process that works on the data. As long as one of them
lives it is taken, so neither a stale postmaster.pid nor a reused process number can deceive us.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omniledger.embedded import locks
from omniledger.embedded.programs import Programs, reason
from omniledger.errors import DatabaseError, LocalError
from omniledger.ports import LOOPBACK, free_port

OWNER = "omniledger"
"""Name of the database, and of the superuser who owns it."""

LOG_LIMIT = 8 * 1024 * 1024
"""A server log that is longer at a start begins anew, bytes."""

START_SECONDS = 120
STOP_SECONDS = 60
ABORT_SECONDS = 10

_TICK = 0.005
_PORTS_TRIED = 5

_PORT = re.compile(r'"port=(\d+)"')

_ACCESS = f"host all all {LOOPBACK}/32 scram-sha-256\n"

_SETTINGS = """
# omniledger's defaults; what stands below them wins.
max_connections = 50
shared_buffers = 128MB
timezone = 'UTC'
log_timezone = 'UTC'
password_encryption = 'scram-sha-256'
jit = off
"""


@dataclass(frozen=True)
class Postmaster:
    """The server's first process; `port` is None until it takes connections."""

    pid: int
    since: str
    """When it started; with `pid` it tells one start from every other."""

    port: int | None


class Cluster:
    """The data in `root`/data, with its password and its log beside it."""

    def __init__(self, root: Path, programs: Programs, options: Mapping[str, str]) -> None:
        self.data = programs.data
        self._programs = programs
        self._options = options
        self._part = root / "data.part"
        self._log = root / "server.log"
        self._running = root / "running"
        self._secret = root / "password"
        self._pid_file = self.data / "postmaster.pid"
        self._options_file = self.data / "postmaster.opts"

    def is_idle(self) -> bool:
        """Whether no process works on the data."""
        return locks.is_free(self._running)

    def postmaster(self) -> Postmaster | None:
        """Who runs on the data according to postmaster.pid, if that is true."""
        try:
            lines = self._pid_file.read_text().split("\n")
            pid = int(lines[0])
        except (FileNotFoundError, ValueError):
            return None
        if pid <= 0 or not _works_in(pid, self.data):
            return None
        is_ready = len(lines) > 7 and lines[7].strip() == "ready"
        since = lines[2] if len(lines) > 2 else ""
        return Postmaster(pid, since, int(lines[3]) if is_ready else None)

    def password(self) -> str:
        """The owner's password."""
        try:
            return self._secret.read_text()
        except FileNotFoundError:
            raise LocalError(
                f"The password file {self._secret} is gone: stop the server and start it again, "
                "which sets a new one."
            ) from None

    def ensure_running(self) -> int:
        """Start the server if it doesn't run; its port."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_idle():
            found = self.postmaster()
            if found is not None and found.port is not None:
                return found.port
            if time.monotonic() > deadline:
                raise DatabaseError(
                    f"Processes of an earlier PostgreSQL still work on {self.data}: end them, "
                    "then run the command again."
                )
            time.sleep(_TICK)
        self._drop_stale_pid_file()
        with locks.claim(self._running) as claim:
            if claim is not None:
                self._prepare(claim)
        return self._start()

    def stop(self) -> bool:
        """End the server, and wait until none of its processes is left; say whether it ran."""
        if self.is_idle():
            return False
        how, told = signal.SIGINT, None
        deadline = time.monotonic() + STOP_SECONDS
        while not self.is_idle():
            found = self.postmaster()
            if found is not None and told != how:
                _signal(found.pid, how)
                told = how
            if time.monotonic() > deadline:
                if how == signal.SIGQUIT:
                    raise DatabaseError(
                        f"PostgreSQL doesn't end its work on {self.data}: end its processes by "
                        f"hand, and look at {self._log}."
                    )
                how, deadline = signal.SIGQUIT, time.monotonic() + ABORT_SECONDS
            time.sleep(_TICK)
        return True

    def _drop_stale_pid_file(self) -> None:
        foreign = self.postmaster()
        if foreign is not None:
            raise LocalError(
                f"A PostgreSQL that omniledger didn't start (process {foreign.pid}) works on "
                f"{self.data}: stop it, then run the command again."
            )
        # The number in it may be another program's by now, which PostgreSQL would take for itself.
        self._pid_file.unlink(missing_ok=True)

    def _prepare(self, claim: int) -> None:
        """See that there is data that fits the programs, and a password."""
        self._programs.open_way()
        made_by = self.data / "PG_VERSION"
        if not made_by.exists():
            self._make(claim)
            return
        major, ours = made_by.read_text().strip(), self._programs.version.partition(".")[0]
        if major != ours:
            raise LocalError(
                f"The data in {self.data} is PostgreSQL {major}'s and the programs in "
                f"{self._programs.bin_dir} are {ours}'s: use those of version {major}, or move "
                "the data away."
            )
        self._programs.give(self.data)
        if not self._secret.exists():
            self._set_password(self.data, claim)

    def _make(self, claim: int) -> None:
        """Make the data beside its place, and move it there when it is whole."""
        import shutil

        if self._part.exists():
            shutil.rmtree(self._part)
        self._part.mkdir(mode=0o700)
        self._programs.give(self._part)
        where = f"--pgdata={self._part}"
        how = (f"--username={OWNER}", "--auth=reject", "--encoding=UTF8", "--no-locale")
        self._programs.run("initdb", where, *how, "--data-checksums", "--no-sync", keep=claim)
        with (self._part / "pg_hba.conf").open("w") as access:
            access.write(_ACCESS)
        with (self._part / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        self._set_password(self._part, claim, f"create database {OWNER} owner {OWNER}\n")
        if self._options.get("fsync") != "off":
            self._programs.run("initdb", where, "--sync-only", keep=claim)
        self._part.rename(self.data)

    def _set_password(self, data: Path, claim: int, more: str = "") -> None:
        """Give the owner a new password: first in the data, then, whole or not at all, in a file.

        It reaches the server's program through a pipe: neither a command line nor a log shows it.
        """
        import secrets

        password = secrets.token_urlsafe(24)
        statements = f"alter role {OWNER} password '{password}'\n{more}"
        quiet = ("-c", "exit_on_error=on", "-c", "log_min_error_statement=panic")
        single = ("--single", "-D", str(data), *quiet, "postgres")
        self._programs.run("postgres", *single, text=statements, keep=claim)
        part = self._secret.with_suffix(".part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
            file.flush()
            os.fsync(descriptor)
        part.rename(self._secret)

    def _start(self) -> int:
        """Start the server where it was, or at a free port if somebody else took that; the port."""
        said = ""
        for _ in range(_PORTS_TRIED):
            before = self._spawn()
            deadline = time.monotonic() + START_SECONDS
            while not self.is_idle():
                found = self.postmaster()
                if found is not None and found.port is not None:
                    return found.port
                if time.monotonic() > deadline:
                    self.stop()
                    raise DatabaseError(
                        f"PostgreSQL isn't ready after {START_SECONDS} s: look at {self._log}, "
                        "then run the command again."
                    )
                time.sleep(_TICK)
            said = self._log.read_bytes()[before:].decode(errors="replace")
            if "could not bind" not in said:
                break
        raise DatabaseError(f"PostgreSQL doesn't start: {reason(said)}; look at {self._log}.")

    def _last_port(self) -> int:
        """The port of the last start, which people and dbt remember; 0 if there is none."""
        try:
            said = _PORT.search(self._options_file.read_text())
        except FileNotFoundError:
            return 0
        return int(said[1]) if said else 0

    def _spawn(self) -> int:
        """Begin a start; how long the log was before, bytes."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(free_port(self._last_port())),
            "unix_socket_directories": "",
            "logging_collector": "off",
            **self._options,
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(log).st_size > LOG_LIMIT:
                os.ftruncate(log, 0)
            before = os.fstat(log).st_size
            with locks.claim(self._running) as claim:
                if claim is not None:
                    where = ("-D", str(self.data))
                    self._programs.detach("postgres", *where, *arguments, log=log, keep=claim)
        finally:
            os.close(log)
        return before


def _signal(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return


def _works_in(pid: int, folder: Path) -> bool:
    """Whether the process `pid` is a server of the data in `folder`, which it works in."""
    if Path("/proc/self/cwd").exists():
        try:
            return Path(f"/proc/{pid}/cwd").samefile(folder)
        except OSError:
            return False
    listed = subprocess.run(
        ("ps", "-o", "command=", "-p", str(pid)), capture_output=True, text=True, check=False
    )
    return str(folder) in listed.stdout
