"""The functions behind the logs dialog: the contracts, the search, and what must not hurt."""

import json
from dataclasses import replace
from typing import Any

import pytest

from migrations.search import build_search
from omniledger.database import Dsn, connect
from tests.conftest import Server, ask

AUDIT = (
    ("id", "integer"),
    ("tool_name", "text"),
    ("user_id", "text"),
    ("environment", "text"),
    ("parameters", "jsonb"),
    ("result_status", "text"),
    ("result_summary", "text"),
    ("error_message", "text"),
    ("execution_time_ms", "integer"),
    ("workflow_run_id", "text"),
    ("session_id", "text"),
    ("created_at", "timestamp with time zone"),
)
HEALTH = (
    ("id", "integer"),
    ("timestamp", "timestamp with time zone"),
    ("status", "text"),
    ("response_time_ms", "integer"),
    ("error_message", "text"),
    ("event_type", "text"),
    ("meta_data", "jsonb"),
)
INDEX = "omni2.omniledger_audit_logs_search"


@pytest.fixture
def merged(each_server: Server) -> Dsn:
    return each_server.state("investigation:upgraded")


@pytest.fixture
def dsn(server: Server) -> Dsn:
    return server.state("investigation:upgraded")


@pytest.fixture(params=["with the index", "without"])
def searched(request: pytest.FixtureRequest, dsn: Dsn) -> Dsn:
    """A database where the search has its index, and one as the upgrade leaves it."""
    if request.param == "with the index":
        with connect(dsn, autocommit=True) as connection:
            assert build_search(connection)
    return dsn


def call(dsn: Dsn, at: str, server: str | None = "files", **values: object) -> int:
    """Log a call at a time of the day; every column can be said."""
    row = {"timestamp": f"2026-03-01 {at}+00", "question": "?", "success": True, **values}
    row.setdefault("mcp_target", server)
    columns, places = ", ".join(row), ", ".join(["%s"] * len(row))
    insert = f"insert into omni2.audit_logs ({columns}) values ({places}) returning id"
    [(id_,)] = ask(dsn, insert, *row.values())
    return int(id_)


def found(dsn: Dsn, server: int = 1, **arguments: object) -> list[int]:
    """Ids of what the dialog shows, in its order."""
    given = "".join(f', "{name}" => %s' for name in arguments)
    query = f"select id from ledger.mcp_server_audit({server}{given})"
    return [id_ for (id_,) in ask(dsn, query, *arguments.values())]


def shape(dsn: Dsn, name: str) -> tuple[tuple[str, str], ...]:
    query = """
        select c.name, format_type(c.type, null)
        from pg_proc as p
        cross join lateral unnest(p.proargnames, p.proallargtypes, p.proargmodes)
            with ordinality as c (name, type, mode, place)
        where p.oid = to_regproc(%s) and c.mode = 't'
        order by c.place
    """
    return tuple(ask(dsn, query, name))


def test_columns_are_those_of_the_contracts(merged: Dsn) -> None:
    assert shape(merged, "ledger.mcp_server_audit") == AUDIT
    assert shape(merged, "ledger.mcp_server_logs") == HEALTH


def test_a_call_and_a_request_that_reached_the_server_are_shown(merged: Dsn) -> None:
    rows = ask(merged, "select * from ledger.mcp_server_audit(1)")
    assert [(row[0], row[1], row[2], row[3], row[5]) for row in rows] == [
        (1, "read", "Ada@Example.com", "production", "success"),
        (2, "read", "Ada@Example.com", "production", "success"),
    ]


def test_a_request_of_many_servers_is_shown_once_under_each(merged: Dsn) -> None:
    both = call(merged, "10:00", "files", mcps_accessed=["files", "search", "search", "other"])
    assert found(merged, 1, limit=1) == [both]
    assert found(merged, 1).count(both) == 1
    assert found(merged, 2) == [both]


def test_the_list_of_servers_follows_the_row(dsn: Dsn) -> None:
    id_ = call(dsn, "10:00", None, mcps_accessed=["search"])
    later = call(dsn, "09:00", None, mcps_accessed=["search"])
    assert found(dsn, 2) == [id_, later]
    update = "update omni2.audit_logs set {} where id = %s"
    ask(dsn, update.format("timestamp = timestamp + interval '1 day', success = false"), later)
    assert found(dsn, 2) == [later, id_]
    assert (found(dsn, 2, status="error"), found(dsn, 2, status="success")) == ([later], [id_])
    ask(dsn, update.format("mcps_accessed = '{files}'"), id_)
    assert (found(dsn, 2), found(dsn, 1, limit=1)) == ([later], [id_])
    ask(dsn, update.format("mcp_target = 'search', mcps_accessed = null"), id_)
    assert found(dsn, 2) == [later, id_]
    ask(dsn, "delete from omni2.audit_logs where id = %s", later)
    assert found(dsn, 2) == [id_]
    ask(dsn, "truncate omni2.audit_logs")
    assert ask(dsn, "select count(*) from ledger.audit_servers") == [(0,)]


def test_a_line_of_the_list_that_is_no_longer_true_is_not_shown(dsn: Dsn) -> None:
    ask(
        dsn,
        "insert into ledger.audit_servers values ('search', false, now(), 1),"
        " ('search', false, now(), 99999)",
    )
    assert found(dsn, 2) == []


def test_status_is_a_filter(dsn: Dsn) -> None:
    bad, unknown = call(dsn, "10:00", success=False), call(dsn, "11:00", success=None)
    assert found(dsn, status="error") == [unknown, bad]
    assert found(dsn, status=" ERROR ", limit=1) == [unknown]
    assert found(dsn, status="success") == [1, 2]
    assert found(dsn, status="") == found(dsn, status="all") == found(dsn) == [unknown, bad, 1, 2]
    assert found(dsn, status="warning") == []
    [(status,)] = ask(dsn, "select result_status from ledger.mcp_server_audit(1, null, null, 1)")
    assert status == "error"


@pytest.mark.parametrize(
    "column", ["question", "tool_called", "error_message", "result_summary", "tools_used"]
)
def test_search_looks_into(searched: Dsn, column: str) -> None:
    said = "before WomBat after"
    row: dict[str, Any] = {column: [said] if column == "tools_used" else said}
    id_ = call(searched, "10:00", **row)
    assert found(searched, search="wombat") == [id_]
    assert found(searched, search="bat a", status="error") == []


def test_search_looks_for_the_user(searched: Dsn) -> None:
    id_ = call(searched, "10:00", user_id=3)
    assert found(searched, search="BOB@example") == [id_]
    assert found(searched, search="bob@example", status="error") == []


def test_search_looks_for_the_number_of_a_user_without_an_address(searched: Dsn) -> None:
    unknown = call(searched, "10:00", user_id=7403)
    ask(searched, "insert into auth_service.users (id, email) values (7404, 'four@example.com')")
    call(searched, "11:00", user_id=7404)
    shown = "select user_id from ledger.mcp_server_audit(1, null, '7403', 10)"
    assert ask(searched, shown) == [("7403",)]
    assert found(searched, search="740") == [unknown]


def test_a_newline_in_a_search_matches_within_one_text_only(searched: Dsn) -> None:
    id_ = call(searched, "10:00", question="two\nlines", error_message="broken\npipe")
    call(searched, "11:00", question="two", tool_called="lines")
    assert found(searched, search="two\nlines") == [id_]
    assert found(searched, search="\n") == [id_]
    assert found(searched, search="n\npip") == [id_]


@pytest.mark.parametrize(
    "literal", ["%", "_", "\\", "'", "50% off", "a_b", "c:\\d", "'; --", "\\%"]
)
def test_search_takes_its_word_literally(searched: Dsn, literal: str) -> None:
    id_ = call(searched, "10:00", question=f"x{literal}y")
    call(searched, "11:00", question="50 off aXb c:d")
    assert found(searched, search=literal) == [id_]


@pytest.mark.parametrize("state", ["collations", "caseless_collations"])
@pytest.mark.parametrize("is_indexed", [True, False])
def test_search_matches_whatever_the_collations(
    each_server: Server, state: str, *, is_indexed: bool
) -> None:
    dsn = each_server.state(f"{state}:upgraded")
    if is_indexed:
        with connect(dsn, autocommit=True) as connection:
            assert build_search(connection)
    said = call(dsn, "10:00", tool_called="a WomBat", user_id=3, question="Straße")
    indexed = "select ledger.audit_indexed('files', 'all', %s, 10)"
    for word in ("wombat", "BOB@example", "straße"):
        assert found(dsn, search=word) == [said]
        assert ask(dsn, indexed, f"%{word}%") == [([said],)]
    assert found(dsn, search="wombat", status="error") == []


def test_no_search_is_no_filter(dsn: Dsn) -> None:
    assert found(dsn, search="") == found(dsn, search=None) == found(dsn)


def test_a_search_shows_the_newest_though_lists_reach_back_unequally_far(searched: Dsn) -> None:
    """Calls of each minute, of which the older half says the word, and old requests that do."""
    ask(
        searched,
        "insert into omni2.audit_logs (timestamp, question, mcp_target, success)"
        " select timestamptz '2026-01-01' + n * interval '1 minute',"
        " case when n <= 500 then 'needle' else 'other' end, 'files', true"
        " from generate_series(1, 1000) as n;"
        "insert into omni2.audit_logs (timestamp, question, mcps_accessed, success)"
        " select timestamptz '2020-01-01' + n * interval '1 minute', 'needle', '{files}', true"
        " from generate_series(1, 100) as n",
    )
    page = (
        "select count(*), min(created_at), max(created_at)"
        " from ledger.mcp_server_audit(1, null, 'needle', {})"
    )
    [(rows, oldest, newest)] = ask(searched, page.format(100))
    assert (rows, oldest.year) == (100, 2026)
    assert ask(searched, page.format(1000))[0][::2] == (600, newest)


def test_a_rare_word_is_found_behind_any_number_of_newer_calls(dsn: Dsn) -> None:
    with connect(dsn, autocommit=True) as connection:
        assert build_search(connection)
    old = call(dsn, "10:00", question="a wombat")
    chat = call(dsn, "10:01", None, question="the wombat", mcps_accessed=["search", "files"])
    elsewhere = call(dsn, "10:02", "search", question="wombat")
    person = call(dsn, "10:03", user_id=3)
    number = call(dsn, "10:04", user_id=7403)
    ask(
        dsn,
        "insert into omni2.audit_logs (timestamp, question, mcp_target, success)"
        " select timestamptz '2026-04-01' + make_interval(secs => n), 'common', 'files', true"
        " from generate_series(1, 11000) as n",
    )
    assert found(dsn, search="wombat") == [chat, old]
    assert found(dsn, search="bob@example") == [person]
    assert found(dsn, search="7403") == [number]
    assert found(dsn, 2, search="wombat") == [elsewhere, chat]
    assert len(found(dsn, search="common", limit=1000)) == 1000
    # Two letters are too few for the index: only the newest 10,000 are looked through.
    assert found(dsn, search="wo") == []
    ask(dsn, f"drop index {INDEX}")
    assert found(dsn, search="wombat") == []


@pytest.mark.parametrize(
    ("limit", "rows"), [(0, 0), (-5, 0), (None, 100), (7, 7), (10**9, 1000), (10**18, 1000)]
)
def test_limits_are_clamped(dsn: Dsn, limit: int | None, rows: int) -> None:
    ask(
        dsn,
        "insert into omni2.audit_logs (question, mcp_target, success)"
        " select 'many', 'files', true from generate_series(1, 1100);"
        "insert into omni2.mcp_health_log (mcp_server_id, status)"
        " select 1, 'healthy' from generate_series(1, 1100)",
    )
    assert len(found(dsn, limit=limit)) == rows
    assert len(found(dsn, limit=limit, search="many")) == rows
    [(events,)] = ask(dsn, "select count(*) from ledger.mcp_server_logs(1, %s)", limit)
    assert events == rows


def test_health_events_are_newest_first(merged: Dsn) -> None:
    rows = ask(merged, "select id, status, event_type from ledger.mcp_server_logs(1, 2)")
    assert rows == [(3, "healthy", "health_check"), (2, "unhealthy", "health_check")]


@pytest.mark.parametrize("unknown", ["99", "-1", "99999999999", "null"])
def test_a_server_that_is_not_there_is_an_empty_list(dsn: Dsn, unknown: str) -> None:
    for name in ("audit", "logs"):
        assert ask(dsn, f"select * from ledger.mcp_server_{name}({unknown})") == []
        [(document,)] = ask(dsn, f"select ledger.mcp_server_{name}_json({unknown})")
        assert document == {"success": True, "server": None, "logs": []}


def document(dsn: Dsn, query: str) -> dict[str, Any]:
    """What a client with odd settings of its own is given."""
    abroad = (("options", "-c timezone=Asia/Tokyo -c datestyle=SQL"),)
    [(text,)] = ask(replace(dsn, options=abroad), f"select ({query})::text")
    return dict(json.loads(text))


def test_documents_are_what_the_dialog_reads(merged: Dsn) -> None:
    ask(merged, "update omni2.mcp_servers set url = 'http://files' where id = 1")
    said = document(merged, "select ledger.mcp_server_logs_json(1, 1)")
    assert said == {
        "success": True,
        "server": {"id": 1, "name": "files", "url": "http://files"},
        "logs": [
            {
                "id": 3,
                "timestamp": "2026-02-10T10:10:00+00:00",
                "status": "healthy",
                "response_time_ms": None,
                "error_message": None,
                "event_type": "health_check",
                "meta_data": None,
            }
        ],
    }
    assert list(said) == ["success", "server", "logs"]
    [log] = document(merged, "select ledger.mcp_server_audit_json(1, 'success', 'read', 1)")["logs"]
    assert tuple(log) == tuple(name for name, _ in AUDIT)
    assert log["created_at"] == "2026-02-10T10:00:02+00:00"


def test_a_server_needs_no_url(dsn: Dsn) -> None:
    ask(dsn, "alter table omni2.mcp_servers drop column url")
    said = document(dsn, "select ledger.mcp_server_audit_json(1)")
    assert said["server"] == {"id": 1, "name": "files", "url": None}


def test_two_servers_of_one_name_show_the_same_calls(dsn: Dsn) -> None:
    ask(
        dsn,
        "alter table omni2.mcp_servers drop constraint mcp_servers_name_key;"
        "insert into omni2.mcp_servers (id, name) values (3, 'files')",
    )
    assert found(dsn, 3) == found(dsn, 1) != []


def test_no_text_is_too_long(searched: Dsn) -> None:
    long = call(searched, "10:00", question="wombat " + "ä1 " * 350_000, error_message="x" * 10**6)
    assert found(searched, search="wombat") == [long]
    assert found(searched, search="x" * 400) == [long]
    assert found(searched, search="%" * 10_000) == found(searched, search="y" * 10_000) == []
    [(length,)] = ask(
        searched, "select length(error_message) from ledger.mcp_server_audit(1) limit 1"
    )
    assert length == 10**6
    assert len(document(searched, "select ledger.mcp_server_audit_json(1)")["logs"]) == 3


def test_no_name_is_refused(dsn: Dsn) -> None:
    # Random, so that it can't be compressed into a key of an index.
    [(name,)] = ask(dsn, "select string_agg(md5(n::text), '') from generate_series(1, 1000) as n")
    id_ = call(dsn, "10:00", None, mcps_accessed=[name, "", None, "files"])
    assert found(dsn, limit=1) == [id_]


def test_a_row_without_a_time_is_left_out(dsn: Dsn) -> None:
    ask(
        dsn,
        "insert into omni2.audit_logs (timestamp, question, mcp_target, mcps_accessed, success)"
        " values (null, 'when?', 'files', '{search}', true)",
    )
    assert (found(dsn), found(dsn, search="when?"), found(dsn, 2)) == ([1, 2], [], [])


@pytest.mark.parametrize("at", ["infinity", "-infinity", "10000-01-01", "0001-01-01 BC"])
def test_a_row_with_a_time_that_clients_can_not_read_is_left_out(dsn: Dsn, at: str) -> None:
    ask(
        dsn,
        "insert into omni2.audit_logs (timestamp, question, mcp_target, mcps_accessed, success)"
        " values (%s, 'when?', 'files', '{search}', true)",
        at,
    )
    ask(
        dsn,
        "insert into omni2.mcp_health_log (mcp_server_id, status, timestamp)"
        " values (2, 'healthy', %s)",
        at,
    )
    assert (found(dsn), found(dsn, search="when?"), found(dsn, 2)) == ([1, 2], [], [])
    assert document(dsn, "select ledger.mcp_server_logs_json(2)")["logs"] == []


def test_events_of_one_moment_come_newest_first_and_those_without_a_time_not_at_all(
    dsn: Dsn,
) -> None:
    ask(dsn, "alter table omni2.mcp_health_log alter timestamp drop not null")
    [(server,)] = ask(
        dsn, "insert into omni2.mcp_servers (id, name) values (77, 'new') returning id"
    )
    noted = [
        ask(
            dsn,
            "insert into omni2.mcp_health_log (mcp_server_id, status, timestamp)"
            " values (%s, 'healthy', %s::timestamptz) returning id",
            server,
            at,
        )[0][0]
        for at in ("2026-02-10 10:00+00", "2026-02-10 10:00+00", None, "2026-02-10 10:00+00")
    ]
    first, second, _, third = noted
    assert ask(dsn, "select id from ledger.mcp_server_logs(%s)", server) == [
        (third,),
        (second,),
        (first,),
    ]
