"""Addresses of databases, in the spellings that operators have them in."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from omniledger.database import Dsn, connect
from omniledger.errors import DatabaseError, PassingError, SettingsError


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


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://sec:S3cat@rt@127.0.0.1/p3",
        "postgresql+psycopg://sec:S3c?at@rt@127.0.0.1/p3",
        "postgresql://sec:12/S3cat@127.0.0.1:5432/p3",
        "postgresql://sec:S3cat/rt@127.0.0.1:5432/p3",
        "postgresql://sec@corp:S3cat@127.0.0.1/p3",
    ],
)
def test_a_password_that_is_not_encoded_is_not_told_in_part(address: str) -> None:
    with pytest.raises(SettingsError, match="write %40, %2F and %3A") as refused:
        Dsn.parse(address)
    assert "cat" not in str(refused.value) and "rt@" not in str(refused.value)


def test_who_has_no_name_on_this_machine_is_named_by_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container that is run as any id."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 23456")

    monkeypatch.delenv("PGUSER", raising=False)
    monkeypatch.setattr("getpass.getuser", nobody)
    assert Dsn.parse("postgresql://me@host/db").user == "me"
    with pytest.raises(SettingsError, match="DATABASE_URL names no user, and this machine"):
        Dsn.parse("postgresql://host/db")


def test_a_service_of_the_surroundings_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGSERVICE", "nobody-wrote-it")
    with pytest.raises(DatabaseError, match=r"PGSERVICE names a service .* unset it") as refused:
        connect(Dsn("127.0.0.1", 1, "db", "me"))
    assert not isinstance(refused.value, PassingError)


def test_a_database_may_have_an_at_in_its_name() -> None:
    assert Dsn.parse("postgresql://me@host/a%40b").dbname == "a@b"
    assert Dsn.parse("host=host user=me dbname=a@b").dbname == "a@b"


def test_a_port_is_a_number() -> None:
    with pytest.raises(SettingsError, match="The port in DATABASE_URL is no number"):
        Dsn.parse("postgresql://me:secret@host:notaport/db")


def test_another_address_is_called_by_its_name_and_takes_nothing_of_the_surroundings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("PGUSER", "here"), ("PGPASSWORD", "ours"), ("PGPORT", "6543")):
        monkeypatch.setenv(name, value)
    found = Dsn.parse("postgresql://there/db", "SOURCE_URL", environ={})
    assert (found.password, found.port) == ("", 5432)
    assert found.user != "here"
    with pytest.raises(SettingsError, match=r"^SOURCE_URL is no PostgreSQL address"):
        Dsn.parse("nonsense", "SOURCE_URL", environ={})


def test_of_several_servers_one_must_be_named() -> None:
    with pytest.raises(SettingsError, match="names several servers; give the one that takes"):
        Dsn.parse("postgresql://me@one,two/gateway?target_session_attrs=read-write")
