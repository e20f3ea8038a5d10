"""Databases in which functions and types are nobody's until somebody is granted them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from migrations.search import build_search
from omniledger import revisions
from omniledger.database import connect
from tests.conftest import Server, ask

PASSWORD = "gateway"  # noqa: S105 (of a login that ends with its test)


@pytest.fixture
def writer(server: Server) -> Iterator[str]:
    """The gateway's login, which owns nothing."""
    role = f"hardened_{next(server.numbers)}"
    ask(server.dsn, f"create role {role} login password '{PASSWORD}'")
    yield role
    ask(replace(server.dsn, dbname=server.made[-1]), f"drop owned by {role}")
    ask(server.dsn, f"drop role {role}")


STATES = (
    "investigation",
    "own_triggers",
    "lineage_with_search",
    "local_times_and_float_costs",
    "generated_columns",
    "odd_columns",
)
"""Those in which something of ours stands between the writer and the row."""


@pytest.mark.parametrize("state", STATES)
def test_a_gateway_with_a_role_of_its_own_writes_on(
    server: Server, writer: str, state: str
) -> None:
    dsn = server.state(state)
    ask(dsn, "alter default privileges revoke execute on functions from public")
    ask(dsn, "alter default privileges revoke usage on types from public")
    for place in ("public", "omni2", "auth_service"):
        ask(dsn, f"grant usage on schema {place} to {writer}")
        ask(dsn, f"grant all on all tables in schema {place} to {writer}")
        ask(dsn, f"grant all on all sequences in schema {place} to {writer}")
    text = "question" if state == "lineage_with_search" else "message"
    revisions.upgrade(dsn)
    with connect(dsn, autocommit=True) as connection:
        assert build_search(connection)
    gateway = replace(dsn, user=writer, password=PASSWORD)
    ask(gateway, f"insert into audit_logs (id, {text}) values (7001, 'mine')")
    ask(gateway, f"update audit_logs set {text} = 'changed' where id = 7001")
    assert ask(gateway, f"delete from audit_logs where id = 7001 returning {text}") == [
        ("changed",)
    ]
    ask(
        gateway,
        "insert into omni2.audit_logs (id, question, success, mcps_accessed)"
        " values (7001, 'mine', true, '{files,search}')",
    )
    ask(gateway, "update omni2.audit_logs set timestamp = timestamp - interval '1 day'")
    assert ask(gateway, "delete from omni2.audit_logs where id = 7001 returning question") == [
        ("mine",)
    ]
