"""The merge of the investigation's two tables: every row, every id, every person, every sum."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from migrations.legacy import inspect
from migrations.merge import run
from migrations.merge.batches import Progress
from migrations.merge.certify import certify
from migrations.merge.cutover import cut_over
from migrations.merge.matching import match_history
from migrations.merge.record import last_done
from migrations.merge.statements import Statements
from omniledger import revisions
from omniledger.database import Dsn, connect
from omniledger.errors import NotReadyError
from tests.conftest import Server, as_gateway, ask, requires
from tests.faults.harness import wait_until
from tests.killing import killed_at

FATES = """
    select coalesce(a.legacy_id, q.legacy_id),
        case when q.legacy_id is not null then 'quarantined'
            when a.source_system = 'gateway' then 'matched' else 'copied' end
    from (select * from omni2.audit_logs where legacy_id is not null) as a
    full join ledger.audit_quarantine as q on a.legacy_id = q.legacy_id
    order by 1
"""


@pytest.fixture
def merged(each_server: Server) -> Dsn:
    return each_server.state("investigation:upgraded")


def test_every_old_row_is_copied_matched_or_quarantined(merged: Dsn) -> None:
    assert dict(ask(merged, FATES)) == {
        101: "matched",
        102: "copied",
        103: "matched",
        104: "copied",
        105: "copied",
        106: "copied",
        107: "quarantined",
        108: "quarantined",
        109: "copied",
        110: "copied",
        111: "copied",
    }
    assert ask(
        merged,
        "select rows_total, rows_copied, rows_matched, rows_quarantined, rows_ambiguous, holds"
        " from ledger.merge_runs",
    ) == [(11, 7, 2, 2, 1, True)]


def test_quarantine_keeps_the_whole_row_and_the_reason(merged: Dsn) -> None:
    rows = ask(
        merged,
        "select legacy_id, reason, row ->> 'message', row ->> 'cost_estimate'"
        " from ledger.audit_quarantine order by 1",
    )
    assert rows == [
        (107, "the row has no time", "no time", "0.000072"),
        (108, "its cost is NaN, not an amount", "a cost that is no number", "NaN"),
    ]


def test_a_row_that_is_set_aside_takes_no_gateway_row_with_it(server: Server) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "insert into public.audit_logs (id, user_id, message, cost_estimate, created_at)"
        " select 201, user_id, message, 'NaN', created_at from public.audit_logs where id = 101;"
        " delete from public.audit_logs where id = 101",
    )
    revisions.upgrade(dsn)
    assert ask(
        dsn,
        "select rows_total, rows_copied, rows_matched, rows_quarantined, holds"
        " from ledger.merge_runs",
    ) == [(11, 7, 1, 3, True)]
    assert ask(dsn, "select legacy_id, cost_usd from omni2.audit_logs where id = 1") == [
        (None, None)
    ]


def test_a_matched_row_keeps_its_own_values_and_gains_what_it_lacked(merged: Dsn) -> None:
    rows = ask(
        merged,
        "select id, timestamp at time zone 'utc', llm_tokens_used, tokens_input, tokens_output,"
        " cost_usd, mcps_accessed from omni2.audit_logs where legacy_id = 101",
    )
    [(id_, at, total, tokens_in, tokens_out, cost, servers)] = rows
    assert (id_, str(at), total) == (1, "2026-02-10 10:00:02", 1100)
    assert (tokens_in, tokens_out, cost, servers) == (1000, 100, Decimal("0.001200"), ["files"])


def test_the_right_person_is_charged_and_the_old_name_shows_the_old_id(merged: Dsn) -> None:
    people = ask(
        merged,
        "select a.legacy_id, a.user_id, o.user_id from omni2.audit_logs as a"
        " inner join audit_logs as o on a.legacy_id = o.id"
        " where a.legacy_id in (102, 104, 105, 110) order by 1",
    )
    # Bob is 2 there and 3 here, Ada 1 and 2; nobody and the doubled address are unknown.
    assert people == [(102, 3, 2), (104, 2, 1), (105, None, 3), (110, None, 4)]
    assert ask(merged, "select users_unmapped from ledger.merge_runs") == [(2,)]


def test_the_quota_check_of_the_investigation_runs_and_counts_each_request_once(
    merged: Dsn,
) -> None:
    rows = ask(
        merged,
        """
        SELECT
            COALESCE(SUM(llm_tokens_used), 0) as tokens_used,
            COALESCE(SUM(cost_usd), 0) as cost_used
        FROM omni2.audit_logs
        WHERE user_id = %s
        AND timestamp >= DATE '2026-02-10'
        AND success = true
        """,
        2,
    )
    # 1100 logged by both, 7 by the gateway alone; Ada's failed request does not count.
    assert rows == [(1107, Decimal("0.001200"))]


def test_the_old_name_shows_chat_requests_and_no_tool_calls(merged: Dsn) -> None:
    assert ask(merged, "select id from audit_logs order by id") == [
        (id_,) for id_ in (101, 102, 103, 104, 105, 106, 109, 110, 111)
    ]


def test_the_old_writer_goes_on_unaware(merged: Dsn) -> None:
    [(id_, was_stamped)] = ask(
        merged,
        """
        insert into audit_logs (
            user_id, request_type, message, tokens_input, tokens_output, tokens_cached,
            cost_estimate, success
        )
        values (
            (select id from users where email = 'bob@example.com'), 'chat', 'new', 5, 2, 1, null,
            true
        )
        returning id, created_at is not null
        """,
    )
    assert (id_, was_stamped) == (112, True)
    [row] = ask(
        merged,
        "select source_system, user_id, llm_tokens_used, status from omni2.audit_logs"
        " where legacy_id = 112",
    )
    assert row == ("chat", 3, 8, "success")
    ask(merged, "update audit_logs set tokens_output = 4 where id = 112")
    assert ask(merged, "select llm_tokens_used from omni2.audit_logs where legacy_id = 112") == [
        (10,)
    ]
    ask(merged, "delete from audit_logs where id = 112")
    assert ask(merged, "select count(*) from omni2.audit_logs where legacy_id = 112") == [(0,)]


def test_a_split_without_a_cost_is_priced_exactly(each_server: Server) -> None:
    merged = each_server.state("empty:upgraded")
    ask(
        merged,
        "insert into omni2.audit_logs (question, success, tokens_input, tokens_output)"
        " values ('priced', true, 4808, 10)",
    )
    [(cost,)] = ask(merged, "select cost_usd from omni2.audit_logs")
    assert cost == Decimal("0.0038864")


def test_a_live_row_that_the_ledger_can_not_hold_is_never_refused(merged: Dsn) -> None:
    ask(
        merged,
        "insert into audit_logs (message, cost_estimate, created_at) values ('odd', 'NaN', null)",
    )
    assert ask(
        merged,
        "select o.created_at, o.cost_estimate, q.reason from audit_logs as o"
        " inner join ledger.audit_quarantine as q on o.id = q.legacy_id where o.message = 'odd'",
    ) == [(None, None, "the row has no time")]


def upgrade_with(
    monkeypatch: pytest.MonkeyPatch, dsn: Dsn, step: str, statement: str
) -> list[tuple[object, ...]]:
    """Upgrade with a statement of somebody else's before a step of the merge; the certificate."""
    from migrations.merge import run

    real = getattr(run, step)

    def after_statement(*args: object, **kwargs: object) -> object:
        ask(dsn, statement)
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(run, step, after_statement)
        revisions.upgrade(dsn)
    return ask(
        dsn,
        "select rows_total, rows_copied, rows_matched, rows_quarantined, holds"
        " from ledger.merge_runs",
    )


@pytest.mark.parametrize("step", ["copy_history", "apply_changes", "cut_over"])
def test_a_gateway_that_deletes_its_own_rows_during_the_merge_loses_no_old_row(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Both the row of a request that both systems logged, and one that was copied just now."""
    dsn = each_server.state("investigation")
    delete = "delete from omni2.audit_logs where legacy_id in (101, 102)"
    assert upgrade_with(monkeypatch, dsn, step, delete) == [(11, 8, 1, 2, True)]
    assert ask(
        dsn,
        "select legacy_id, source_system from omni2.audit_logs where legacy_id in (101, 102)"
        " order by legacy_id",
    ) == [(101, "legacy"), (102, "legacy")]
    assert ask(dsn, "select count(*) from ledger.audit_tombstones") == [(0,)]


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (
            "create materialized view public.m as select id from public.audit_logs",
            r"materialized view \S*m reads it",
        ),
        (
            "create function public.m() returns bigint language sql"
            " begin atomic select count(*) from public.audit_logs; end",
            r"function \S*m\(\) is bound to",
        ),
        ("create table public.m (kept public.audit_logs)", r"column kept of table \S*m is of"),
    ],
)
def test_what_comes_to_stand_over_the_old_table_during_the_merge_is_named_before_the_cut_over(
    server: Server, monkeypatch: pytest.MonkeyPatch, made: str, named: str
) -> None:
    """It would read the archive for ever, or fail the cut over in words of PostgreSQL's."""
    requires(server.dsn, 14)
    dsn = server.state("investigation")
    with pytest.raises(NotReadyError, match=named):
        upgrade_with(monkeypatch, dsn, "cut_over", made)
    ask(dsn, "drop " + made.partition("create ")[2].partition(" public.m")[0] + " public.m")
    revisions.upgrade(dsn)
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(11, True)]


def upgrade_beside(monkeypatch: pytest.MonkeyPatch, dsn: Dsn, first: str, *then: str) -> None:
    """Upgrade while the gateway holds a row that filling in needs, and then writes more."""
    waits = "select count(*) > 0 from pg_locks where not granted and locktype = 'transactionid'"
    held = threading.Event()

    def write() -> None:
        with as_gateway(dsn) as gateway:
            gateway.execute(first.encode())
            held.set()
            wait_until("the merge to meet the gateway", lambda: ask(dsn, waits) == [(True,)])
            for statement in then:
                gateway.execute(statement.encode())
            gateway.commit()

    def beside_the_gateway(*arguments: Any) -> Iterator[Progress]:
        for progress in match_history(*arguments):
            if progress.step == "filling in" and not writing:
                writing.append(pool.submit(write))
                assert held.wait(20)
            yield progress

    writing: list[Future[None]] = []
    monkeypatch.setattr(run, "match_history", beside_the_gateway)
    with ThreadPoolExecutor() as pool:
        revisions.upgrade(dsn)
        writing[0].result()


def test_what_the_gateway_is_writing_while_its_row_gains_is_its_own(
    each_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = each_server.state("investigation")
    ask(dsn, "update public.audit_logs set duration_ms = 100 where id in (101, 103)")
    upgrade_beside(monkeypatch, dsn, "update omni2.audit_logs set duration_ms = 250 where id = 1")
    assert ask(
        dsn,
        "select audit_id, 'duration_ms' = any(gained) from ledger.audit_matches order by audit_id",
    ) == [(1, False), (3, True)]
    revisions.downgrade(dsn, "base")
    durations = "select id, duration_ms from omni2.audit_logs where id in (1, 3) order by id"
    assert ask(dsn, durations) == [(1, 250), (3, None)]


def test_a_gateway_that_writes_rows_in_another_order_than_they_gain_is_not_ended(
    each_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would wait for the other, and the server ends one of the two."""
    dsn = each_server.state("investigation")
    write = "update omni2.audit_logs set duration_ms = 250 where id = "
    upgrade_beside(monkeypatch, dsn, f"{write}3", f"{write}1")
    assert ask(
        dsn, "select legacy_id, duration_ms from omni2.audit_logs where id in (1, 3) order by id"
    ) == [(101, 250), (103, 250)]


@pytest.mark.parametrize(
    "old_writer", ["", "update public.audit_logs set duration_ms = 110 where id = 101"]
)
def test_what_the_gateway_writes_over_what_its_row_gained_during_the_merge_stays_its_own(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, old_writer: str
) -> None:
    """Whether or not the old row changes afterwards, and is matched anew."""
    dsn = each_server.state("investigation")
    ask(dsn, "update public.audit_logs set duration_ms = 100, user_agent = 'chat' where id = 101")
    gateway = "update omni2.audit_logs set duration_ms = 250, cost_usd = 3 where id = 1"
    meanwhile = f"{gateway}; {old_writer}"
    assert upgrade_with(monkeypatch, dsn, "cut_over", meanwhile) == [(11, 7, 2, 2, True)]
    written = "select legacy_id, duration_ms, cost_usd from omni2.audit_logs where id = 1"
    assert ask(dsn, written) == [(101, 250, 3)]
    revisions.downgrade(dsn, "base")
    gateways = "select duration_ms, user_agent from omni2.audit_logs where id = 1"
    assert ask(dsn, gateways) == [(250, None)]


UNSEEN = """
    do $$
    begin
        if not exists (select from public.audit_logs where message = 'unseen') then
            alter table {table} disable trigger user;
            update public.audit_logs set message = 'unseen' where id = 102;
            insert into public.audit_logs (message) values ('unseen');
            delete from omni2.audit_logs where legacy_id = 104;
            alter table {table} enable trigger user;
        end if;
    end
    $$
"""
"""What a load of data does with the triggers of one table, once."""


@pytest.mark.parametrize("table", ["public.audit_logs", "omni2.audit_logs"])
def test_what_is_written_while_triggers_are_disabled_is_brought_over(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    dsn = each_server.state("investigation")
    unseen = UNSEEN.format(table=table)
    assert upgrade_with(monkeypatch, dsn, "cut_over", unseen) == [(12, 8, 2, 2, True)]
    assert ask(
        dsn, "select id from audit_logs where message = 'unseen' or id = 104 order by id"
    ) == [(102,), (104,), (112,)]


def test_what_was_written_while_triggers_were_disabled_after_a_kill_is_brought_over(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    with killed_at(run, "apply_changes"):
        revisions.upgrade(dsn)
    ask(dsn, UNSEEN.format(table="public.audit_logs"))
    revisions.upgrade(dsn)
    assert ask(dsn, "select id from audit_logs where message = 'unseen' order by id") == [
        (102,),
        (112,),
    ]


@pytest.mark.parametrize("step", ["apply_changes", "cut_over"])
@pytest.mark.parametrize("action", ["cascade", "set null", "no action"])
def test_what_references_a_copy_by_its_own_id_outlives_a_change_of_the_old_row(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, step: str, action: str
) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "create table omni2.feedback (audit_id integer references omni2.audit_logs (id)"
        f" on delete {action})",
    )
    # One is changed, and one becomes a request that the gateway logged, too.
    meanwhile = """
        insert into omni2.feedback
        select id from omni2.audit_logs where legacy_id in (102, 104)
        and not exists (select from omni2.feedback);
        update public.audit_logs set message = 'changed', user_id = 1 where id in (102, 105);
        update public.audit_logs set created_at = '2026-02-10 11:00:05+00' where id = 104
    """
    assert upgrade_with(monkeypatch, dsn, step, meanwhile) == [(11, 7, 2, 2, True)]
    assert ask(
        dsn,
        "select a.legacy_id, a.question, a.user_id, a.timestamp = '2026-02-10 11:00:05+00'"
        " from omni2.feedback as f inner join omni2.audit_logs as a on f.audit_id = a.id"
        " order by a.legacy_id",
    ) == [(102, "changed", 2, False), (104, "too far apart", 2, True)]


@pytest.mark.parametrize("step", ["match_history", "copy_history", "apply_changes", "cut_over"])
@pytest.mark.parametrize(
    ("emptied", "rows"),
    [("omni2.audit_logs", (11, 9, 0, 2, True)), ("public.audit_logs", (0, 0, 0, 0, True))],
)
def test_a_table_that_is_emptied_during_the_merge_loses_no_row_of_the_other(
    each_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    emptied: str,
    rows: tuple[object, ...],
) -> None:
    dsn = each_server.state("investigation")
    [(gateway,)] = ask(dsn, "select count(*) from omni2.audit_logs")
    assert upgrade_with(monkeypatch, dsn, step, f"truncate {emptied} cascade") == [rows]
    left = ask(dsn, "select count(*) from omni2.audit_logs where source_system = 'gateway'")
    assert left == [(0 if emptied == "omni2.audit_logs" else gateway,)]
    assert ask(dsn, "select to_regproc('ledger.note_ledger_emptied')") == [(None,)]


def test_the_certificate_notices_a_row_that_is_lost_and_one_that_is_changed(merged: Dsn) -> None:
    with connect(merged) as connection:
        done = last_done(connection)
        assert done is not None
        statements = Statements(done.legacy, archived=True)
        assert certify(connection, statements, done).holds
        connection.execute("alter table omni2.audit_logs disable trigger user")
        connection.execute("delete from omni2.audit_logs where legacy_id = 105")
        connection.execute("update omni2.audit_logs set tokens_input = 11 where legacy_id = 102")
        certificate = certify(connection, statements, done)
    assert not certificate.holds
    assert "missing, the first with the old ids 105" in certificate.detail
    assert "differ, the first with the old ids 102" in certificate.detail


def test_the_certificate_notices_rows_that_the_old_table_has_lost_and_not_those_written_since(
    merged: Dsn,
) -> None:
    ask(merged, "insert into audit_logs (id, message) values (7001, 'since')")
    ask(merged, "update audit_logs set message = 'changed' where id = 105")
    with connect(merged) as connection:
        done = last_done(connection)
        assert done is not None
        statements = Statements(done.legacy, archived=True)
        assert certify(connection, statements, done).holds
        # A crash leaves nothing of a table that is not logged.
        connection.execute("delete from ledger.audit_logs_legacy where id = 102 or id > 200")
        certificate = certify(connection, statements, done)
    assert "not in the old table, the first with the old ids 102" in certificate.detail


def test_an_upgrade_that_was_not_proved_is_not_proved_the_second_time_either(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "create function omni2.forget() returns trigger language plpgsql as $$ begin"
        " update omni2.audit_logs set slack_channel = 'forgotten' where id = new.id;"
        " return null; end $$;"
        " create trigger forget after insert on omni2.audit_logs for each row"
        " when (new.question is null) execute function omni2.forget()",
    )
    for _ in range(2):
        with pytest.raises(NotReadyError, match=r"is not proved: .* old ids 111"):
            revisions.upgrade(dsn)
    revisions.downgrade(dsn, "0005")
    ask(dsn, "drop trigger forget on omni2.audit_logs")
    revisions.upgrade(dsn)
    assert ask(dsn, "select holds from ledger.merge_runs order by id desc limit 1") == [(True,)]


def test_the_certificate_does_not_mind_what_writers_did_since(merged: Dsn) -> None:
    ask(merged, "update audit_logs set tokens_input = 11 where id = 102")
    ask(merged, "delete from audit_logs where id = 105")
    with connect(merged) as connection:
        done = last_done(connection)
        assert done is not None
        statements = Statements(done.legacy, archived=True)
        certificate = certify(connection, statements, done)
    assert certificate.holds
    assert (certificate.total, certificate.deleted) == (11, 1)


def test_an_upgrade_killed_at_any_step_goes_on_where_it_was(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    for step in ("watch", "match_history", "copy_history", "apply_changes", "cut_over", "certify"):
        with killed_at(run, step):
            revisions.upgrade(dsn)
        if step == "match_history":
            # What is written meanwhile is brought over too.
            ask(dsn, "update public.audit_logs set message = 'changed' where id = 102")
            ask(dsn, "delete from public.audit_logs where id = 104")
        if step == "copy_history":
            ask(dsn, "insert into public.audit_logs (id, message) values (500, 'meanwhile')")
    revisions.upgrade(dsn)
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(11, True)]
    assert ask(dsn, "select id, message from audit_logs where id in (102, 104, 500)") == [
        (102, "changed"),
        (500, "meanwhile"),
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            "create materialized view public.daily as select created_at from public.audit_logs",
            r"materialized view public\.daily",
        ),
        (
            "alter table public.audit_logs add parent integer references public.audit_logs (id)",
            "foreign key audit_logs_parent_fkey",
        ),
        ("alter table public.audit_logs enable row level security", "row level security"),
        ("create rule r as on delete to public.audit_logs do instead nothing", "the rule r"),
        ("alter table public.audit_logs alter id drop default, alter id type text", "no integer"),
    ],
)
def test_what_can_not_be_carried_stops_before_any_change(
    server: Server, change: str, why: str
) -> None:
    dsn = server.state("investigation")
    ask(dsn, change)
    with pytest.raises(NotReadyError, match=why):
        revisions.upgrade(dsn)
    assert ask(
        dsn,
        "select count(*) from information_schema.columns"
        " where table_schema = 'omni2' and table_name = 'audit_logs'",
    ) == [(23,)]


def test_what_stops_a_merge_half_way_is_told_with_what_was_done(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = server.state("investigation")
    copied = "select count(*) from omni2.audit_logs where legacy_id is not null"

    def make_view_first(*arguments: object) -> None:
        ask(dsn, "create materialized view public.daily as select id from public.audit_logs")
        cut_over(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(NotReadyError) as refused:
        patch.setattr(run, "cut_over", make_view_first)
        revisions.upgrade(dsn)
    told = (
        "because the materialized view public.daily reads it; the old table is as it was, and what"
        " was brought over by now stays for when the merge goes on: see what to do"
    )
    assert told in str(refused.value)
    assert ask(dsn, copied) == [(9,)]
    with pytest.raises(NotReadyError, match=re.escape(told)):
        revisions.upgrade(dsn)
    assert ask(dsn, copied) == [(9,)]
    ask(dsn, "drop materialized view public.daily")
    revisions.upgrade(dsn)
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]


def test_a_reference_that_never_held_stops_neither_the_merge_nor_the_way_back(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "alter table public.audit_logs drop constraint audit_logs_user_id_fkey;"
        " update public.audit_logs set user_id = 99 where id in (102, 105);"
        " alter table public.audit_logs add constraint audit_logs_user_id_fkey"
        " foreign key (user_id) references public.users (id) not valid",
    )
    with killed_at(run, "cut_over"):
        revisions.upgrade(dsn)
    ask(dsn, "update public.audit_logs set message = 'meanwhile' where id = 102")
    revisions.upgrade(dsn)
    ask(dsn, "update public.audit_logs set message = 'since' where id = 105")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        ask(dsn, "insert into public.audit_logs (user_id, message) values (98, 'nobody')")
    held = "select id, user_id, message from public.audit_logs where user_id = 99 order by id"
    rows = ask(dsn, held)
    assert rows == [(102, 99, "meanwhile"), (105, 99, "since")]
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]
    revisions.downgrade(dsn, "base")
    assert ask(dsn, held) == rows
    never = "select conname::text from pg_constraint where contype = 'f' and not convalidated"
    assert ask(dsn, never) == [("audit_logs_user_id_fkey",)]


def test_an_installation_whose_users_are_the_gateways_own_keeps_their_ids(server: Server) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "alter table public.audit_logs drop constraint audit_logs_user_id_fkey,"
        " add foreign key (user_id) references auth_service.users (id)",
    )
    revisions.upgrade(dsn)
    assert ask(
        dsn,
        "select count(*) filter (where user_id is distinct from legacy_user_id)"
        " from omni2.audit_logs where source_system = 'legacy'",
    ) == [(0,)]


def test_further_columns_are_carried_with_name_and_type(server: Server) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "alter table public.audit_logs add question text, add databases_accessed text[],"
        " add llm_tokens_used bigint",
    )
    ask(
        dsn,
        "update public.audit_logs set question = 'q', databases_accessed = '{a}',"
        " llm_tokens_used = 3000000000 where id = 102",
    )
    revisions.upgrade(dsn)
    assert ask(
        dsn,
        "select message, question, databases_accessed, llm_tokens_used, pg_typeof(llm_tokens_used)"
        "::text from audit_logs where id = 102",
    ) == [("only the chat log has this", "q", ["a"], 3000000000, "bigint")]


def test_the_old_name_is_a_view_already_and_nothing_is_to_do(merged: Dsn) -> None:
    with connect(merged) as connection:
        assert inspect(connection, "public") is None
    revisions.upgrade(merged)
    assert ask(merged, "select count(*) from ledger.merge_runs") == [(1,)]


def test_a_role_that_only_writes_the_old_name_goes_on_writing(server: Server) -> None:
    dsn = server.state("investigation")
    role = f"writer_{dsn.dbname}"
    ask(dsn, f"create role {role}")
    try:
        ask(
            dsn,
            f"grant usage on schema public to {role};"
            f" grant select, insert on public.audit_logs to {role};"
            f" grant usage on sequence public.audit_logs_id_seq to {role}",
        )
        revisions.upgrade(dsn)
        with as_gateway(dsn) as connection:
            connection.execute(f"set role {role}".encode())
            row = connection.execute(
                "insert into audit_logs (user_id, message, tokens_input, tokens_output)"
                " values (2, 'mine', 1, 1) returning id"
            ).fetchone()
            assert row == (112,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("delete from audit_logs")
    finally:
        ask(dsn, f"drop owned by {role}; drop role {role}")


def test_views_over_the_old_name_read_the_ledger_with_all_that_they_had(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "create view public.daily with (security_barrier=true) as"
        " select created_at::date as day, count(*) as requests, sum(tokens_input) as tokens"
        " from audit_logs group by 1;"
        " create view public.busy as select * from daily where requests > 1;"
        " comment on view public.daily is 'by day'; grant select on public.daily to public",
    )
    [(day, requests)] = ask(dsn, "select day, requests from public.busy")
    revisions.upgrade(dsn)
    # One row of that day is in quarantine.
    assert ask(dsn, "select day, requests from public.busy") == [(day, requests - 1)]
    ask(dsn, "insert into audit_logs (message, created_at) values ('a', '2030-01-01 12:00+00')")
    ask(dsn, "insert into audit_logs (message, created_at) values ('b', '2030-01-01 12:00+00')")
    assert ask(dsn, "select requests from public.busy where day = '2030-01-01'") == [(2,)]
    assert ask(
        dsn,
        "select reloptions, obj_description(oid), has_table_privilege('public', oid, 'select')"
        " from pg_class where oid = 'public.daily'::regclass",
    ) == [(["security_barrier=true"], "by day", True)]


def test_a_deleted_user_is_forgotten_as_the_old_foreign_key_did(each_server: Server) -> None:
    dsn = each_server.state("investigation:upgraded")
    ask(dsn, "delete from public.users where id = 2")
    assert ask(dsn, "select distinct user_id from audit_logs where id in (102, 103)") == [(None,)]
    # The gateway still knows whom to charge.
    assert ask(
        dsn, "select distinct user_id from omni2.audit_logs where legacy_id in (102, 103)"
    ) == [(3,)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        ask(dsn, "insert into audit_logs (user_id, message) values (999, 'as before')")


NOTES = """
    create table public.notes (
        id serial primary key,
        request integer references public.audit_logs (id) on delete cascade
    );
    insert into public.notes (request) values ({});
"""


def test_what_referenced_an_old_id_references_the_same_row_now(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    ask(dsn, NOTES.format(102))
    revisions.upgrade(dsn)
    assert ask(
        dsn,
        "select confrelid::regclass::text, convalidated from pg_constraint"
        " where conname = 'notes_request_fkey'",
    ) == [("omni2.audit_logs", True)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        ask(dsn, "insert into public.notes (request) values (999)")
    ask(dsn, "delete from audit_logs where id = 102")
    assert ask(dsn, "select count(*) from public.notes") == [(0,)]


def test_a_reference_to_a_quarantined_row_stops_before_the_cut_over(server: Server) -> None:
    dsn = server.state("investigation")
    ask(dsn, NOTES.format(107))
    with pytest.raises(NotReadyError, match=r"notes references .* with the ids 107"):
        revisions.upgrade(dsn)
    assert ask(dsn, "select relkind::text from pg_class where oid = 'audit_logs'::regclass") == [
        ("r",)
    ]
    ask(dsn, "update public.audit_logs set created_at = now() where id = 107")
    revisions.upgrade(dsn)
    assert ask(dsn, "select rows_quarantined, holds from ledger.merge_runs") == [(1, True)]
