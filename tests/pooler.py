"""A real PgBouncer before a server, which may also end TLS."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from omniledger import ports
from omniledger.database import Dsn
from tests.faults.harness import wait_until

_CONFIG = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = {host}
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits
logfile = {folder}/log
{tls}
"""

_TLS = """
client_tls_sslmode = require
client_tls_key_file = {folder}/server.key
client_tls_cert_file = {folder}/server.crt
"""


@contextmanager
def pooled(dsn: Dsn, mode: str, *, size: int = 20, tls: bool = False) -> Iterator[Dsn]:
    """The same database behind a pooler, in the mode `transaction` or `session`.

    Args:
        size: how many sessions of the server there are at most.
        tls: whether it speaks TLS only, with the certificate of `localhost` in `sslrootcert`.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "PgBouncer is missing: install the package pgbouncer"
    with tempfile.TemporaryDirectory() as root:
        folder, port = Path(root), ports.free_port()
        certificate = _certificate(folder) if tls else None
        (folder / "users").write_text(f'"{dsn.user}" "{dsn.password}"\n')
        (folder / "pgbouncer.ini").write_text(
            _CONFIG.format(
                host=dsn.host,
                port=dsn.port,
                listen=port,
                folder=folder,
                mode=mode,
                size=size,
                tls=_TLS.format(folder=folder) if tls else "",
            )
        )
        command = [program, str(folder / "pgbouncer.ini")]
        if os.geteuid() == 0:
            # It refuses to be root.
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "nobody")
            command[1:1] = ["-u", "nobody"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as own:
            try:
                wait_until("PgBouncer", lambda: own.poll() is not None or ports.is_taken(port))
                behind = replace(dsn, port=port)
                if certificate is not None:
                    options = (("sslmode", "verify-full"), ("sslrootcert", str(certificate)))
                    behind = replace(behind, host="localhost", options=options)
                yield behind
            finally:
                own.terminate()


def _certificate(folder: Path) -> Path:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", folder / "server.key", "-out", folder / "server.crt"),
        ],
        check=True,
        capture_output=True,
    )
    return folder / "server.crt"
