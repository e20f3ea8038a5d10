"""Addresses of databases, in the spellings that operators have them in."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from omniledger.database import Dsn
from omniledger.errors import SettingsError


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me@host/gateway",
        "postgres://me:p%40%3A%2F%25%2B@host:6432/gateway",
        "postgresql+asyncpg://me:secret@host/gateway?ssl=true",
        "postgresql://me@[::1]/gateway",
        "postgresql://me@/gateway?host=/var/run/postgresql",
        "postgresql://me:secret@%2Fvar%2Frun%2Fpostgresql:5433/gateway",
        "postgresql://me@host/Omni-2%20Prod%25?options=-c%20search_path%3Domni2",
        "host='/tmp/a folder' dbname=gateway user=me password='a b+c'",
        # As a file with a secret in it is read.
        "postgresql://me:secret@host/gateway\n",
    ],
)
def test_an_address_is_the_same_place_in_every_spelling(address: str) -> None:
    dsn = Dsn.parse(address)
    assert Dsn.parse(dsn.url()) == dsn
    assert Dsn.parse(dsn.conninfo()) == dsn
    url, words = conninfo_to_dict(dsn.url()), conninfo_to_dict(dsn.conninfo())
    assert {k: str(v) for k, v in url.items()} == {k: str(v) for k, v in words.items()}
    assert (dsn.user, dsn.host) == ("me", dsn.environment()["PGHOST"])


def test_of_several_servers_one_must_be_named() -> None:
    with pytest.raises(SettingsError, match="names several servers; give the one that takes"):
        Dsn.parse("postgresql://me@one,two/gateway?target_session_attrs=read-write")
