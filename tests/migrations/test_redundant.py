"""Indexes of the gateway's that one of the ledger's contains: dropped, inherited, given back."""

from __future__ import annotations

from typing import Any

import pytest

from migrations.merge.record import last_done
from migrations.redundant import replace_redundant
from omniledger import revisions
from omniledger.database import Connection, Dsn, connect
from omniledger.merging.verifying import damage
from tests.conftest import GATEWAY, Server, ask, from_files
from tests.migrations.dumps import dump

LEADING = """
    select c.relname, pg_get_indexdef(c.oid)
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    inner join pg_attribute as a on i.indrelid = a.attrelid and i.indkey[0] = a.attnum
    where
        i.indrelid = 'omni2.audit_logs'::regclass
        and a.attname in ('user_id', 'mcp_target')
        and i.indpred is null
    order by c.relname collate "C"
"""
USER, SERVER = "idx_omni2_audit_logs_user_id", "idx_omni2_audit_logs_mcp_target"
MADE_FOR = {
    USER: '(user_id, "timestamp") INCLUDE (llm_tokens_used, cost_usd, success)',
    SERVER: '(mcp_target, "timestamp" DESC)',
}


def definitions(dsn: Dsn) -> dict[str, str]:
    """Name of each index that begins with a user or a server → what it is over."""
    return {name: text.partition(" USING btree ")[2] for name, text in ask(dsn, LEADING)}


def test_one_index_does_the_work_of_two_under_the_name_that_there_was(each_server: Server) -> None:
    dsn = each_server.state("investigation:upgraded")
    assert definitions(dsn) == MADE_FOR
    # As a gateway does when it starts.
    ask(dsn, f"create index if not exists {USER} on omni2.audit_logs (user_id)")
    assert definitions(dsn) == MADE_FOR


def test_an_index_may_have_any_name_where_no_encoding_is_named(server: Server) -> None:
    dsn = server.new_in("SQL_ASCII")
    with connect(dsn) as connection:
        from_files(GATEWAY)(connection)
        for name, column in (("größe_1", "user_id"), ("größe_2", "mcp_target")):
            connection.execute(f"create index {name} on omni2.audit_logs ({column})".encode())
    revisions.upgrade(dsn)
    assert definitions(dsn) == {"größe_1": MADE_FOR[USER], "größe_2": MADE_FOR[SERVER]}


def test_an_index_that_does_what_ours_does_not_is_left_alone(server: Server) -> None:
    dsn = server.state("investigation")
    own = {
        "own_backwards": "(user_id DESC)",
        "own_last": "(user_id NULLS FIRST)",
        "own_named": "(user_id)",
        "own_pattern": "(mcp_target varchar_pattern_ops)",
        "own_payload": "(user_id) INCLUDE (error_id)",
        "own_sorted": '(mcp_target COLLATE "C")',
        "own_unique": "(user_id, id)",
        "own_wider": "(user_id, error_id)",
    }
    for name, over in own.items():
        unique = "unique" if name == "own_unique" else ""
        ask(dsn, f"create {unique} index {name} on omni2.audit_logs {over}")
    ask(dsn, "comment on index omni2.own_named is 'asked for by the auditors'")
    revisions.upgrade(dsn)
    assert definitions(dsn) == own | MADE_FOR


def test_several_of_a_kind_come_back_as_they_were(server: Server) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        'create index "By User" on omni2.audit_logs (user_id, timestamp) with (fillfactor = 70);'
        "create index by_server on omni2.audit_logs (mcp_target, timestamp desc)",
    )
    before = dump(dsn)
    revisions.upgrade(dsn)
    assert set(definitions(dsn)) == {"By User", "by_server"}
    revisions.downgrade(dsn, "base")
    assert dump(dsn) == before
    revisions.upgrade(dsn)
    assert set(definitions(dsn)) == {"By User", "by_server"}


class Dying:
    """A connection whose process is killed before its `life`-th statement."""

    def __init__(self, connection: Connection, life: int) -> None:
        self.connection, self.life = connection, life

    def execute(self, *statement: Any) -> Any:
        if self.life == 0:
            raise KeyboardInterrupt
        self.life -= 1
        return self.connection.execute(*statement)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def test_killed_before_any_statement_it_goes_on(server: Server) -> None:
    killed = 0
    while True:
        dsn = server.state("investigation:0023")
        with connect(dsn, autocommit=True) as connection:
            try:
                replace_redundant(Dying(connection, killed))  # type: ignore[arg-type]
            except KeyboardInterrupt:
                killed += 1
            else:
                break
        revisions.upgrade(dsn)
        assert definitions(dsn) == MADE_FOR, f"killed before statement {killed}"
        revisions.downgrade(dsn, "0023")
        assert definitions(dsn) == {
            USER: "(user_id)",
            SERVER: "(mcp_target)",
            "omniledger_audit_logs_quota": MADE_FOR[USER],
            "omniledger_audit_logs_server": MADE_FOR[SERVER],
        }
    assert killed > 8


@pytest.mark.parametrize("name", [USER, SERVER])
def test_the_proof_misses_it_under_its_name(server: Server, name: str) -> None:
    dsn = server.state("investigation:upgraded")
    with connect(dsn) as connection:
        done = last_done(connection)
        assert done is not None
        assert list(damage(connection, done)) == []
        connection.execute(f"drop index omni2.{name}".encode())
        [sentence] = damage(connection, done)
    assert sentence.startswith(f"The index omni2.{name} is missing or invalid")
