"""What the logs dialog shows of any rows, against what is worked out of them without SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from migrations.search import build_search
from omniledger.database import Connection, Dsn
from tests.conftest import Server, as_gateway

SERVERS = {1: "files", 2: "search", 3: "Files", 4: "a,b", 5: 'x"y'}
USERS = {1: "u1@alpha.io", 2: "BETA2@x.org"}
WORDS = (
    "alpha", "Beta", "ALPHA", "alpha beta", "50%", "a_b", "c\\d", "o'x", "ÄÖÜ", "naïve",
    "two\nlines", "x", "zz9", "7", "12", " ", "",
)  # fmt: skip
SEARCHES = (
    *WORDS, None, "%", "_", "\\", "'", "u1@", "@X", "71", "t.b", "t.alpha, t.b", "lph",
    *("a", "e") * 4, "7\n12", "x\nx", "alpha\nalpha",
)  # fmt: skip
FIRST = datetime(2026, 3, 1, tzinfo=UTC)

Row = dict[str, Any]


def _values(random: Random) -> Row:
    """Everything that the dialog reads, but the person."""
    name = random.choice((None, None, *SERVERS.values(), "gone"))
    long = "q" * 490 + random.choice(WORDS) + "r" * 30
    return {
        "timestamp": random.choice(
            (None, *[FIRST + timedelta(seconds=random.randrange(300))] * 20)
        ),
        "question": random.choice((None, long, *WORDS)),
        "mcp_target": name,
        "mcps_accessed": random.choice(
            (None, [], ["files"], ["files", "search"], ["Files", None, "files", "files"], ["a,b"])
        ),
        "tool_called": random.choice((None, None, *WORDS)),
        "tools_used": random.choice((None, [], ["t.alpha", "t.b"], [None, "Beta"])),
        "success": random.choice((None, True, True, False)),
        "error_message": random.choice((None, None, *WORDS)),
        "result_summary": random.choice((None, None, *WORDS)),
    }


def _write(connection: Connection, random: Random) -> list[Row]:
    """Rows that are written, then some of them changed and some deleted."""
    rows = []
    for _ in range(random.choice((30, 200, 800))):
        row = {"user_id": random.choice((None, 1, 2, 7, 712)), **_values(random)}
        places = ", ".join(["%s"] * len(row))
        insert = f"insert into omni2.audit_logs ({', '.join(row)}) values ({places}) returning id"
        [(row["id"],)] = connection.execute(insert.encode(), [*row.values()]).fetchall()
        rows.append(row)
    for row in random.sample(rows, len(rows) // 10):
        new = dict(random.sample(sorted(_values(random).items()), 2))
        sets = ", ".join(f"{column} = %s" for column in new)
        update = f"update omni2.audit_logs set {sets} where id = %s"
        connection.execute(update.encode(), (*new.values(), row["id"]))
        row.update(new)
    for row in random.sample(rows, len(rows) // 20):
        connection.execute("delete from omni2.audit_logs where id = %s", (row["id"],))
        rows.remove(row)
    return rows


def _says(row: Row, word: str) -> bool:
    tools = [tool for tool in row["tools_used"] or () if tool is not None]
    tool = ", ".join(tools) if row["tool_called"] is None else row["tool_called"]
    person = USERS.get(row["user_id"], row["user_id"])
    texts = (row["question"], tool, row["error_message"], row["result_summary"])
    shown = [text[:500] for text in texts if text is not None]
    return any(word.lower() in text.lower() for text in (*shown, str(person or "")))


def _expected(
    rows: list[Row], server: int, status: str | None, search: str | None, limit: int | None
) -> list[int]:
    """Ids of the rows that the dialog should show, newest first."""
    name = SERVERS.get(server)
    reached = [
        row
        for row in rows
        if row["timestamp"] is not None
        and name in (row["mcp_target"], *(row["mcps_accessed"] or ()))
        and name is not None
    ]
    wanted = (status or "").strip().lower() or "all"
    fitting = [
        row
        for row in reached
        if wanted == "all"
        or (wanted == "success" and row["success"])
        or (wanted == "error" and not row["success"])
    ]
    found = [row for row in fitting if not search or _says(row, search)]
    found.sort(key=lambda row: (row["timestamp"], row["id"]), reverse=True)
    most = 100 if limit is None else min(max(limit, 0), 1000)
    return [row["id"] for row in found[:most]]


@pytest.mark.parametrize("seed", range(4))
def test_any_page_shows_the_rows_that_it_should(server: Server, seed: int) -> None:
    """Without the search's index first, then with it."""
    dsn: Dsn = server.state("empty:upgraded")
    random = Random(seed)
    with as_gateway(dsn, autocommit=True) as connection:
        known = connection.cursor()
        known.executemany(
            "insert into omni2.mcp_servers (id, name) values (%s, %s)", SERVERS.items()
        )
        known.executemany(
            "insert into auth_service.users (id, email) values (%s, %s)", USERS.items()
        )
        rows = _write(connection, random)
        for is_indexed in (False, True):
            if is_indexed:
                assert build_search(connection)
            for _ in range(400):
                asked = (
                    random.choice((*SERVERS, 99)),
                    random.choice((None, "", "all", "success", "error", "Error ", "nonsense")),
                    random.choice(SEARCHES),
                    random.choice((None, 0, -3, 1, 5, 24, 25, 25, 30, 100, 10**9)),
                )
                query = "select id from ledger.mcp_server_audit(%s, %s, %s, %s)"
                shown = [id_ for (id_,) in connection.execute(query, asked)]
                assert shown == _expected(rows, *asked), (is_indexed, asked)
