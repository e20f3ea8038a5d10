"""The quarantine tried again, while others mend, write, delete, kill, and take ids."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from migrations.waiting import MIGRATING
from omniledger import revisions
from omniledger.database import Dsn
from omniledger.settings import PROJECT_DIR
from tests.conftest import Server, as_gateway, ask
from tests.faults.harness import wait_until
from tests.migrations.operator import Said, omniledger
from tests.migrations.test_merge_commands import mend

TIME = "2026-02-10 12:00:30+00"
ASIDE = "select legacy_id from ledger.audit_quarantine order by 1"
WAITS = "select exists (select from pg_locks where not granted)"


@pytest.fixture
def merged(server: Server) -> Dsn:
    return server.state("investigation:upgraded")


def retry(dsn: Dsn) -> dict[str, object]:
    document: dict[str, object] = omniledger(dsn, "merge", "retry-quarantine", "--json").document()
    return document


@contextmanager
def retrying(dsn: Dsn) -> Iterator[list[Said]]:
    """Try again beside the block, which begins when that waits for somebody."""
    said: list[Said] = []
    thread = threading.Thread(
        target=lambda: said.append(omniledger(dsn, "merge", "retry-quarantine", "--json"))
    )
    thread.start()
    try:
        wait_until("a wait", lambda: ask(dsn, WAITS) == [(True,)] or not thread.is_alive())
        yield said
    finally:
        thread.join()


def test_ids_at_the_edges_are_tried_too(server: Server) -> None:
    dsn = server.state("gateway")
    ids = (-(2**63), -1, 0, 2**31, 2**63 - 2)
    ask(dsn, "alter table public.audit_logs alter column id type bigint")
    for id_ in ids:
        ask(dsn, "insert into audit_logs (id, message, created_at) values (%s, 'x', null)", id_)
    revisions.upgrade(dsn)
    for id_ in ids:
        mend(dsn, id_, created_at=TIME)
    assert retry(dsn) == {"brought": 5, "still": {}}
    assert ask(dsn, "select id from audit_logs where created_at is not null order by 1") == [
        (id_,) for id_ in ids
    ]
    revisions.downgrade(dsn, "0006")
    assert ask(dsn, "select count(*) from audit_logs where created_at = %s", TIME) == [(5,)]


def test_what_is_just_being_mended_comes_as_it_was_mended(merged: Dsn) -> None:
    mend(merged, 108, cost_estimate="1")
    with as_gateway(merged) as operator:
        operator.execute(
            "update ledger.audit_quarantine set row = jsonb_set(row, '{cost_estimate}', '2')"
            " where legacy_id = 108"
        )
        with retrying(merged) as said:
            # What is set aside meanwhile is no less brought over.
            ask(merged, "insert into audit_logs (message, created_at) values ('odd', null)")
            operator.commit()
    assert said[0].document() == {"brought": 1, "still": {"the row has no time": 2}}
    assert ask(merged, "select cost_estimate from audit_logs where id = 108") == [(Decimal(2),)]
    assert omniledger(merged, "merge", "verify").code == 0


def test_a_writer_of_a_row_that_is_completed_is_not_ended(merged: Dsn) -> None:
    ask(merged, "insert into audit_logs (message, created_at) values ('odd', null)")
    mend(merged, 112, timestamp=TIME)
    with as_gateway(merged) as writer:
        writer.execute("update audit_logs set status = 'seen' where id = 112")
        with retrying(merged) as said:
            # It is set aside once more, which locks its row in the quarantine.
            writer.execute("update audit_logs set warning = 'still odd' where id = 112")
            writer.commit()
    assert said[0].code == 0
    assert ask(merged, "select status, warning from audit_logs where id = 112") == [
        ("seen", "still odd")
    ]
    assert omniledger(merged, "merge", "verify").code == 0


@pytest.mark.parametrize("way", ["process", "backend"])
def test_killed_while_it_waits_it_leaves_nothing_behind(merged: Dsn, way: str) -> None:
    mend(merged, 107, created_at=TIME)
    mend(merged, 108, cost_estimate="1")
    with as_gateway(merged) as operator:
        operator.execute("update ledger.audit_quarantine set reason = reason where legacy_id = 108")
        killed = subprocess.Popen(
            [sys.executable, "-m", "omniledger", "merge", "retry-quarantine"],
            cwd=PROJECT_DIR,
            env=os.environ | {"DATABASE_URL": merged.url()},
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until("a wait", lambda: ask(merged, WAITS) == [(True,)])
        if way == "process":
            killed.send_signal(signal.SIGKILL)
        else:
            ask(
                merged,
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = %s and datname = current_database()",
                MIGRATING,
            )
        _, said = killed.communicate()
        assert "Traceback" not in said
        assert ask(merged, ASIDE) == [(107,), (108,)]
    assert retry(merged) == {"brought": 2, "still": {}}
    assert omniledger(merged, "merge", "verify").code == 0


def test_two_at_once_bring_each_row_once(merged: Dsn) -> None:
    mend(merged, 107, created_at=TIME)
    mend(merged, 108, cost_estimate="1")
    command = [sys.executable, "-m", "omniledger", "merge", "retry-quarantine", "--json"]
    both = [
        subprocess.Popen(
            command,
            cwd=PROJECT_DIR,
            env=os.environ | {"DATABASE_URL": merged.url()},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [one.communicate()[0] for one in both]
    assert sorted('"brought": 2' in one for one in said) == [False, True]
    assert ask(merged, "select count(*) from audit_logs where id in (107, 108)") == [(2,)]
    assert omniledger(merged, "merge", "verify").code == 0


def test_a_row_whose_id_another_has_now_stays_aside(merged: Dsn) -> None:
    ask(merged, "insert into audit_logs (id, message) values (107, 'another')")
    mend(merged, 107, created_at=TIME)
    assert retry(merged)["brought"] == 0
    assert ask(merged, "select reason from ledger.audit_quarantine where legacy_id = 107") == [
        ("another row has its id under the old name now; give that one another id",)
    ]
    ask(merged, "update audit_logs set id = 99 where id = 107")
    assert retry(merged)["brought"] == 1
    assert ask(merged, "select id, message from audit_logs where id in (99, 107) order by 1") == [
        (99, "another"),
        (107, "no time"),
    ]
    assert omniledger(merged, "merge", "verify").code == 0


def test_a_row_that_was_deleted_under_the_old_name_is_no_more_tried(merged: Dsn) -> None:
    for message in ("deleted", "kept"):
        ask(merged, "insert into audit_logs (message, created_at) values (%s, null)", message)
    ask(merged, "delete from audit_logs where message = 'deleted'")
    assert retry(merged)["brought"] == 0
    assert ask(merged, ASIDE) == [(107,), (108,), (113,)]


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("raise exception 'not this one'", "the mended row is refused: not this one"),
        (
            "return null",
            "the ledger did not take the mended row; look at the triggers of omni2.audit_logs",
        ),
    ],
)
def test_a_row_that_a_trigger_lets_fall_stays_aside(merged: Dsn, act: str, reason: str) -> None:
    ask(
        merged,
        "create function omni2.f() returns trigger language plpgsql as $$ begin"
        f" if new.legacy_id = 107 then {act}; end if; return new; end $$;"
        " create trigger f before insert on omni2.audit_logs"
        " for each row execute function omni2.f()",
    )
    mend(merged, 107, created_at=TIME)
    mend(merged, 108, cost_estimate="1")
    assert retry(merged) == {"brought": 1, "still": {reason: 1}}
    ask(merged, "drop function omni2.f cascade")
    assert retry(merged) == {"brought": 1, "still": {}}
    assert omniledger(merged, "merge", "verify").code == 0
