"""PgBouncer in transaction mode before a server, with TLS of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from omniledger.database import Dsn
from omniledger.embedded.programs import Programs
from omniledger.ports import LOOPBACK, free_port, is_taken

_SETTINGS = """
[databases]
* = host={server.host} port={server.port}

[pgbouncer]
listen_addr = {loopback}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 2
client_tls_sslmode = allow
client_tls_cert_file = {folder}/server.crt
client_tls_key_file = {folder}/server.key
"""


@contextmanager
def pooled(folder: Path, server: Dsn, *roles: Dsn, mode: str = "transaction") -> Iterator[Dsn]:
    """Start PgBouncer before `server` for its user and `roles`; the address, database as there."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    make_certificate(folder)
    users = [f'"{one.user}" "{one.password}"\n' for one in (server, *roles)]
    (folder / "users").write_text("".join(users))
    (folder / "pgbouncer.ini").write_text(
        _SETTINGS.format(server=server, loopback=LOOPBACK, port=port, folder=folder, mode=mode)
    )
    # PgBouncer refuses to be root, as PostgreSQL does; it becomes whom the server runs as.
    who = Programs(folder, None).user
    if who is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, who.pw_uid, who.pw_gid)
    identity: dict[str, Any] = (
        {} if who is None else {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": ()}
    )
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(folder / "pgbouncer.ini")], stdout=log, stderr=log, **identity
        )
    try:
        while not is_taken(port):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.01)
        yield replace(server, host=LOOPBACK, port=port)
    finally:
        process.terminate()
        process.wait()


def make_certificate(folder: Path) -> None:
    """A certificate for loopback that signs itself."""
    subprocess.run(
        (
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=omniledger test"),
            *("-addext", f"subjectAltName=IP:{LOOPBACK}"),
            *("-keyout", folder / "server.key", "-out", folder / "server.crt"),
        ),
        check=True,
        capture_output=True,
    )
