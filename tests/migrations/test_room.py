"""New rows keep out of the room that matched rows left, for each would log a whole page there."""

from __future__ import annotations

import pytest

from omniledger import revisions
from omniledger.database import Dsn, connect
from tests.conftest import Server, ask

OPTIONS = "select reloptions from pg_class where oid = 'omni2.audit_logs'::regclass"
PAGE = "(ctid::text::point)[0]::int"

# Every twentieth call is one that the old log has too, and a page has about as many.
BOTH_LOGS = """
    insert into public.audit_logs (user_id, message, created_at)
    select
        1, i || repeat(' both', 50), '2026-01-01 00:00+00'::timestamptz + i * interval '1 minute'
    from generate_series(20, 600, 20) as i;
    insert into omni2.audit_logs (user_id, question, timestamp, success)
    select
        2, i || repeat(' both', 50),
        '2026-01-01 00:00:01+00'::timestamptz + i * interval '1 minute', true
    from generate_series(1, 600) as i
"""


@pytest.fixture
def both(server: Server) -> Dsn:
    dsn = server.state("investigation")
    ask(dsn, BOTH_LOGS)
    return dsn


def test_a_new_row_keeps_out_of_the_room_that_matched_rows_left(both: Dsn) -> None:
    revisions.upgrade(both)
    assert ask(both, "select rows_matched > 20 from ledger.merge_runs") == [(True,)]
    with connect(both, autocommit=True) as connection:
        connection.execute("vacuum omni2.audit_logs")
    (last,) = ask(both, f"select max({PAGE}) from omni2.audit_logs")[0]
    insert = "insert into omni2.audit_logs (question, success) values ('new', true)"
    assert ask(both, f"{insert} returning {PAGE}") >= [(last,)]
    revisions.downgrade(both, "0006")
    assert ask(both, OPTIONS) == [(None,)]


def test_a_fill_factor_that_somebody_chose_stays(both: Dsn) -> None:
    ask(both, "alter table omni2.audit_logs set (fillfactor = 90)")
    revisions.upgrade(both)
    revisions.downgrade(both, "0006")
    assert ask(both, OPTIONS) == [(["fillfactor=90"],)]
    ask(both, "alter table omni2.audit_logs reset (fillfactor)")
    revisions.upgrade(both)
    ask(both, "alter table omni2.audit_logs set (fillfactor = 70)")
    revisions.downgrade(both, "0006")
    assert ask(both, OPTIONS) == [(["fillfactor=70"],)]


def test_what_was_merged_before_is_given_it_by_a_revision(both: Dsn) -> None:
    revisions.upgrade(both)
    ask(both, "alter table omni2.audit_logs reset (fillfactor)")
    ask(both, "delete from ledger.settings where name = 'fill_factor'")
    revisions.downgrade(both, "0038")
    revisions.upgrade(both)
    assert ask(both, OPTIONS) == [(["fillfactor=90"],)]
    revisions.downgrade(both, "base")
    assert ask(both, OPTIONS) == [(None,)]
