"""Whatever the old tables took, the ledger takes, and the old name gives it back as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from omniledger import revisions
from omniledger.database import Connection, Dsn, connect
from tests.conftest import Server, ask

Row = dict[str, str | None]
"""Values as PostgreSQL reads them, by column; a column that is missing takes its default."""

CHAT = sql.SQL("audit_logs")
GATEWAY = sql.SQL("omni2.audit_logs")

NO_AMOUNT = ("NaN", "Infinity", "-Infinity")


def noise(seed: int) -> str:
    """Text that no index entry has room for: 13 kB that don't compress."""
    return "".join(hashlib.sha512(b"%d %d" % (seed, i)).hexdigest() for i in range(100))


texts = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(
        ["", " ", "NULL", "\\x00", "\\u0000", "'; --", "\ufeff\u202e\U0001f4a9", "e\u0301"]
    ),
    st.integers(0, 99).map(noise),
    st.integers(1, 3).map(lambda n: "long " * n * 100_000),
)
words = texts.map(lambda text: text[:50])
integers = st.one_of(
    st.integers(-(2**31), 2**31 - 1), st.sampled_from([0, -1, 2**31 - 1, -(2**31)])
).map(str)
bigints = st.one_of(integers, st.sampled_from([2**63 - 1, -(2**63), 10**15]).map(str))
dollars = st.one_of(
    st.decimals(-9999, 9999, places=6).map(str),
    st.sampled_from(["NaN", "9999.999999", "-9999.999999", "0.0000004", "1e-20"]),
)
amounts = st.one_of(
    dollars, st.sampled_from(["Infinity", "-Infinity", "1e1000", "-1e1000", "1e-1000"])
)
times = st.one_of(
    st.datetimes().map(lambda at: f"{at.isoformat()}+00"),
    st.sampled_from(
        [
            "infinity",
            "-infinity",
            "4714-11-24 00:00:00+00 BC",
            "294276-12-31 23:59:59.999999+00",
            "0044-03-15 12:00:00+00 BC",
            "2026-02-30 00:00:00+00",
            "2026-03-29 02:30:00 Europe/Berlin",
        ]
    ),
)
lists = st.one_of(
    st.lists(st.none() | texts, max_size=4).map(
        lambda items: "{" + ",".join(_item(item) for item in items) + "}"
    ),
    st.sampled_from(["{{a,b},{c,d}}", "[5:6]={a,NULL}", "{}"]),
)
booleans = st.sampled_from(["true", "false"])
addresses = st.sampled_from(["10.0.0.1", "2001:db8::/32", "0.0.0.0/0", "::ffff:1.2.3.4"])
documents = st.sampled_from(["{}", "[]", "null", '"a"', "1e400", '{"a": [1, {"b": null}]}'])
odd_documents = documents | st.sampled_from(
    ['{"a":"\\u0000"}', '{"a":"\\ud800"}', '{"a":1e999999}', '{"a":  1, "a":2}']
)
"""What a column of type json takes; jsonb takes only the last of them, and not to the letter."""


def _item(item: str | None) -> str:
    if item is None:
        return "NULL"
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'


def rows(
    columns: dict[str, st.SearchStrategy[str]], **always: st.SearchStrategy[str]
) -> st.SearchStrategy[Row]:
    """Rows with any of the columns missing, and any of the others NULL."""
    return st.fixed_dictionaries(
        dict(always), optional={name: st.none() | values for name, values in columns.items()}
    )


def chat_columns(
    tokens: st.SearchStrategy[str], cost: st.SearchStrategy[str]
) -> dict[str, st.SearchStrategy[str]]:
    return {
        "user_id": st.sampled_from(["1", "2", "3", "4"]),
        "request_type": words,
        "message": texts,
        "message_preview": texts,
        "iterations": integers,
        "tools_used": lists,
        "mcps_accessed": lists,
        "duration_ms": integers,
        "tokens_input": tokens,
        "tokens_output": tokens,
        "tokens_cached": tokens,
        "cost_estimate": cost,
        "status": words,
        "warning": texts,
        "ip_address": addresses,
        "slack_user_id": words,
        "success": booleans,
        "created_at": times,
    }


GATEWAY_COLUMNS = {
    "user_id": integers,
    "mcp_target": texts.map(lambda text: text[:255]),
    "tool_params": documents,
    "duration_ms": integers,
    "result_summary": texts,
    "llm_confidence": st.sampled_from(["NaN", "9.99", "-1", "0.005"]),
    "llm_tokens_used": integers,
    "ip_address": addresses,
    "was_blocked": booleans,
}

# A gateway's NOT NULL columns are always there; one that is refused there is no loss.
gateway_rows = rows(GATEWAY_COLUMNS, question=texts, success=booleans, timestamp=times)

WIDE = """
    alter table public.audit_logs
        alter column cost_estimate type numeric,
        alter column tokens_input type bigint,
        alter column tokens_output type bigint,
        alter column tokens_cached type bigint,
        add column plain json
"""


class Twins:
    """The gateway as it was, and the same one upgraded: what happens to one happens to both."""

    def __init__(self, old: Dsn, new: Dsn) -> None:
        self.old = connect(old, autocommit=True)
        self.new = connect(new, autocommit=True)
        for side in (self.old, self.new):
            side.execute("reset search_path")

    def insert(self, table: sql.SQL, row: Row) -> tuple[int, int] | None:
        """The new row's id on each side; None where the old side refused it."""
        query = (
            sql.SQL("insert into {} ({}) values ({}) returning id").format(
                table,
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join([sql.SQL("%s")] * len(row)),
            )
            if row
            else sql.SQL("insert into {} default values returning id").format(table)
        )
        old = self._accepted(query, list(row.values()))
        return None if old is None else (old, self._one(self.new, query, list(row.values())))

    def update(self, table: sql.SQL, ids: tuple[int, int], row: Row) -> bool:
        """Whether the old side took it."""
        query = sql.SQL("update {} set {} where id = %s returning id").format(
            table,
            sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in row),
        )
        if not row or self._accepted(query, [*row.values(), ids[0]]) is None:
            return False
        assert self._one(self.new, query, [*row.values(), ids[1]]) == ids[1]
        return True

    def delete(self, table: sql.SQL, ids: tuple[int, int]) -> None:
        query = sql.SQL("delete from {} where id = %s returning id").format(table)
        assert self._one(self.old, query, [ids[0]]) == ids[0]
        assert self._one(self.new, query, [ids[1]]) == ids[1]

    def differences(
        self, table: sql.SQL, ids: tuple[int, int], columns: Iterable[str]
    ) -> dict[str, tuple[str | None, str | None]]:
        """What the two sides show of one row, as text, where it is not the same."""
        query = sql.SQL("select {} from {} where id = %s").format(
            sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c)) for c in columns),
            table,
        )
        [old] = self.old.execute(query, (ids[0],)).fetchall()
        [new] = self.new.execute(query, (ids[1],)).fetchall()
        pairs = zip(columns, old, new, strict=True)
        return {column: (was, now) for column, was, now in pairs if was != now}

    def _accepted(self, query: sql.Composed, values: list[str | int | None]) -> int | None:
        try:
            return self._one(self.old, query, values)
        except psycopg.DataError:
            return None

    @staticmethod
    def _one(side: Connection, query: sql.Composed, values: list[str | int | None]) -> int:
        [(id_,)] = side.execute(query, values).fetchall()
        return int(id_)

    def close(self) -> None:
        self.old.close()
        self.new.close()


def explained(differences: dict[str, tuple[str | None, str | None]]) -> bool:
    """Whether the old name shows what it showed, but for the two exceptions of the design.

    A cost that is no amount would poison every sum: it reads NULL, and is whole in quarantine. A
    cost that was left out is computed from the split.
    """
    cost = differences.pop("cost_estimate", None)
    is_allowed = cost is None or cost[0] is None or (cost[0] in NO_AMOUNT and cost[1] is None)
    return is_allowed and not differences


def test_any_row_that_the_old_tables_took(server: Server) -> None:
    old = server.state("investigation")
    new = server.state("investigation:upgraded")
    same_for_any_row(old, new, chat_columns(integers, dollars))


def test_any_row_where_the_old_table_takes_more(each_server: Server) -> None:
    old = each_server.state("investigation")
    ask(old, WIDE)
    new = each_server.new(old.dbname)
    revisions.upgrade(new)
    same_for_any_row(old, new, chat_columns(bigints, amounts) | {"plain": odd_documents})


def same_for_any_row(old: Dsn, new: Dsn, columns: dict[str, st.SearchStrategy[str]]) -> None:
    """Write the same rows to both, compare what they show, and then merge those of the old one."""
    twins = Twins(old, new)

    @settings(
        max_examples=80,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(row=rows(columns), change=rows(columns), tool=gateway_rows, deleted=st.booleans())
    def each(row: Row, change: Row, tool: Row, deleted: bool) -> None:
        through_the_old_name(twins, columns, row, change, deleted)
        straight(twins, tool, deleted)

    try:
        each()
    finally:
        twins.close()
    merged_whole(old)


def through_the_old_name(
    twins: Twins, columns: Iterable[str], row: Row, change: Row, deleted: bool
) -> None:
    ids = twins.insert(CHAT, row)
    if ids is None:
        return
    shown = [c for c in columns if c in row or c != "created_at"]
    assert explained(twins.differences(CHAT, ids, shown))
    if twins.update(CHAT, ids, change):
        assert explained(twins.differences(CHAT, ids, [*shown, *change]))
    if deleted:
        twins.delete(CHAT, ids)


def straight(twins: Twins, tool: Row, deleted: bool) -> None:
    ids = twins.insert(GATEWAY, tool)
    if ids is None:
        return
    assert twins.differences(GATEWAY, ids, [*GATEWAY_COLUMNS, "question", "timestamp"]) == {}
    if twins.update(GATEWAY, ids, tool | {"timestamp": "2026-01-01 00:00+00"}) and deleted:
        twins.delete(GATEWAY, ids)


SHOWN = "select id, row_to_json(a)::text from {} as a"
ASIDE = "select legacy_id, row::text from ledger.audit_quarantine"


def read(dsn: Dsn, query: str) -> dict[int, dict[str, Any]]:
    """Rows by their id, numbers as they are; JSON that was kept as text is JSON here."""
    rows = {id_: json.loads(row, parse_float=Decimal) for id_, row in ask(dsn, query)}
    for row in rows.values():
        if isinstance(row.get("plain"), str) and row["plain"].startswith("{"):
            row["plain"] = json.loads(row["plain"], parse_float=Decimal)
    return rows


def merged_whole(old: Dsn) -> None:
    """Upgrade with all those rows as history: each is shown as it was, or whole in quarantine."""
    was = read(old, SHOWN.format("audit_logs"))
    revisions.upgrade(old)
    now = read(old, SHOWN.format("audit_logs"))
    aside = read(old, ASIDE)
    assert ask(old, "select holds from ledger.merge_runs") == [(True,)]
    assert now.keys() | aside.keys() == was.keys()
    assert not now.keys() & aside.keys()
    matched = {id_ for (id_,) in ask(old, "select legacy_id from ledger.audit_matches")}
    assert [
        id_ for id_ in was if id_ not in matched and now.get(id_, aside.get(id_)) != was[id_]
    ] == []
    assert all(
        row["created_at"] is None or row["cost_estimate"] in NO_AMOUNT for row in aside.values()
    )


EXTREMES = (
    "infinity",
    "-infinity",
    "4714-11-24 00:00:00+00 BC",
    "294276-12-31 23:59:59.999999+00",
)


def test_requests_at_the_ends_of_time_are_merged_and_can_leave(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    for at in EXTREMES:
        ask(dsn, "insert into audit_logs (user_id, message, created_at) values (1, 'x', %s)", at)
        ask(
            dsn,
            "insert into omni2.audit_logs (user_id, question, success, timestamp)"
            " values (2, 'x', true, %s)",
            at,
        )
    revisions.upgrade(dsn)
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]
    # Far from any clock's time nothing is taken for the same request, so nothing is lost either.
    assert ask(dsn, "select count(*) from omni2.audit_logs where question = 'x'") == [(8,)]
    for zone in ("America/St_Johns", "Africa/Monrovia", "Pacific/Apia"):
        leaving = "delete from omni2.audit_logs where question = 'x'"
        with connect(dsn) as connection:
            connection.execute("select set_config('timezone', %s, true)", (zone,))
            connection.execute("update omni2.audit_logs set timestamp = now() where question = 'x'")
            connection.rollback()
            connection.execute("select set_config('timezone', %s, true)", (zone,))
            assert connection.execute(leaving.encode()).rowcount == 8
            connection.rollback()


@pytest.mark.parametrize(
    "damage",
    [
        "drop table public.users cascade",
        "alter table public.users rename column email to mail",
        "alter table auth_service.users drop column email cascade",
        "drop table ledger.model_prices cascade",
    ],
)
def test_a_row_is_kept_whatever_became_of_what_fills_it_in(server: Server, damage: str) -> None:
    dsn = server.state("investigation:upgraded")
    ask(dsn, damage)
    [(id_,)] = ask(
        dsn,
        "insert into audit_logs (user_id, message, tokens_input, tokens_output, cost_estimate)"
        " values (null, 'kept', 1, 1, null) returning id",
    )
    ask(dsn, "update audit_logs set user_id = 2 where id = %s", id_)
    assert ask(dsn, "select message from audit_logs where id = %s", id_) == [("kept",)]


def test_a_computed_cost_that_has_no_room_is_left_out(server: Server) -> None:
    dsn = server.state("investigation:upgraded")
    # 9999.9999997 dollars: below the limit of numeric(10, 6), until it is rounded.
    ask(dsn, "update ledger.model_prices set input = 0.8, output = 4.0000000017619047")
    ask(
        dsn,
        "insert into audit_logs (message, tokens_input, tokens_output, cost_estimate)"
        " values ('dear', 2000000000, 2099999999, null)",
    )
    assert ask(dsn, "select cost_estimate from audit_logs where message = 'dear'") == [(None,)]
