"""A hot standby of a server of its own: what `pg_basebackup` copies, following the original."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from omniledger.database import Dsn
from omniledger.embedded import EmbeddedServer
from tests.conftest import UNSAFE, Server, ask, started

STREAMING = {"wal_level": "replica", "max_wal_senders": "4"}
"""What a server needs that is followed."""


@dataclass(frozen=True)
class Pair:
    """The server that takes writes, and the one that follows it."""

    primary: Server
    standby: Dsn

    def followed(self, dsn: Dsn) -> Dsn:
        """The same database on the standby, once all that is committed is there."""
        [(at,)] = ask(self.primary.dsn, "select pg_current_wal_lsn()::text")
        there = replace(self.standby, dbname=dsn.dbname)
        while ask(self.standby, "select pg_last_wal_replay_lsn() >= %s::pg_lsn", at) != [(True,)]:
            pass
        return there


@contextmanager
def followed(folder: Path) -> Iterator[Pair]:
    """Start a server, and a standby of it."""
    with started(folder / "primary", None, **STREAMING) as primary:
        # Nobody else may stream.
        access = folder / "primary" / "data" / "pg_hba.conf"
        with access.open("a") as lines:
            lines.write("host replication all 127.0.0.1/32 scram-sha-256\n")
        ask(primary.dsn, "select pg_reload_conf()")
        root = folder / "standby"
        root.mkdir()
        embedded = EmbeddedServer(root, options={**UNSAFE, **STREAMING})
        _copy(primary.dsn, embedded.bin_dir, root / "data")
        # The copy has the original's roles, so it has the password.
        (root / "password").write_text(primary.dsn.password)
        (root / "password").chmod(0o600)
        with embedded.lease() as endpoint:
            yield Pair(primary, replace(primary.dsn, host=endpoint.host, port=endpoint.port))


def _copy(dsn: Dsn, programs: Path, data: Path) -> None:
    subprocess.run(
        (
            *(programs / "pg_basebackup", "--pgdata", data, "--write-recovery-conf"),
            *("--checkpoint", "fast", "--wal-method", "stream", "--no-sync"),
        ),
        env={**os.environ, **dsn.environment()},
        check=True,
        capture_output=True,
    )
