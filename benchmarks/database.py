"""A database of a benchmark's own, upgraded and empty, on an embedded server that ends with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omniledger import revisions
from omniledger.database import Dsn
from omniledger.embedded import EmbeddedServer


@contextmanager
def fresh_database(folder: Path, **options: str) -> Iterator[Dsn]:
    """The server's settings are those of every embedded one, with `options` over them."""
    server = EmbeddedServer(folder / "postgres", options=options)
    with server.lease() as endpoint:
        dsn = Dsn(endpoint.host, endpoint.port, endpoint.dbname, endpoint.user, endpoint.password)
        revisions.upgrade(dsn)
        yield dsn
    server.stop()
