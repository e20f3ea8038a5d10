"""What is written while the cut over waits is brought over before its lock, not under it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from migrations.merge import cutover, run
from migrations.merge.copy import apply_changes
from omniledger import revisions
from omniledger.database import Dsn
from omniledger.errors import DatabaseError
from tests.conftest import Server, as_gateway, ask
from tests.migrations.conftest import SetSetting


@dataclass
class UnderLock:
    """What the cut over applied while it held its locks, one entry for each time."""

    applied: list[int] = field(default_factory=list)

    def apply(self, *args: object, **kwargs: object) -> int:
        self.applied.append(apply_changes(*args, **kwargs))  # type: ignore[arg-type]
        return self.applied[-1]


@pytest.fixture
def under_lock(monkeypatch: pytest.MonkeyPatch) -> UnderLock:
    watched = UnderLock()
    monkeypatch.setattr(cutover, "apply_changes", watched.apply)
    return watched


def write(dsn: Dsn, rows: int) -> None:
    ask(dsn, "insert into audit_logs (message) select 'late' from generate_series(1, %s)", rows)


def before_each(
    monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[int], None]
) -> list[int]:
    """Act before each call of a step of the merge, with how often it was called before."""
    real = getattr(run, step)
    calls: list[int] = []

    def after_act(*args: object, **kwargs: object) -> object:
        calls.append(len(calls))
        act(calls[-1])
        return real(*args, **kwargs)

    monkeypatch.setattr(run, step, after_act)
    return calls


def test_what_comes_at_once_just_before_the_lock_is_brought_over_without_it(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, under_lock: UnderLock
) -> None:
    dsn = each_server.state("investigation")
    tries = before_each(monkeypatch, "cut_over", lambda call: write(dsn, 0 if call else 3000))
    revisions.upgrade(dsn)
    assert (len(tries), under_lock.applied) == (2, [0])
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(3011, True)]


def test_who_always_writes_more_than_may_be_left_does_not_keep_the_merge_for_ever(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, under_lock: UnderLock
) -> None:
    dsn = each_server.state("investigation")
    much = 3 * run.MOST_UNDER_LOCK
    tries = before_each(monkeypatch, "cut_over", lambda _: write(dsn, much))
    revisions.upgrade(dsn)
    assert (len(tries), under_lock.applied) == (3, [much])
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(11 + 3 * much, True)]


def test_a_writer_who_is_as_fast_as_the_merge_does_not_keep_it_for_ever(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, under_lock: UnderLock
) -> None:
    """Each time that it catches up as much is written, before the next."""
    dsn = each_server.state("investigation")
    much = 2 * run.MOST_UNDER_LOCK

    def and_write(*args: object, **kwargs: object) -> int:
        applied = apply_changes(*args, **kwargs)  # type: ignore[arg-type]
        write(dsn, much)
        return applied

    monkeypatch.setattr(run, "apply_changes", and_write)
    revisions.upgrade(dsn)
    assert under_lock.applied == [much]
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]


@pytest.mark.parametrize(
    "holds",
    [
        "select count(*) from audit_logs",
        "select count(*) from public.notes",
        "update public.users set email = email",
        "insert into omni2.audit_logs (question, success) values ('open', true)",
    ],
    ids=["the old table", "what references it", "the users", "the ledger"],
)
def test_nothing_is_done_under_some_of_the_locks_while_another_is_not_to_be_had(
    each_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    set_setting: SetSetting,
    under_lock: UnderLock,
    holds: str,
) -> None:
    set_setting("lock_patience_seconds", "1")
    dsn = each_server.state("investigation")
    ask(dsn, "create table public.notes (request integer references public.audit_logs (id))")
    with as_gateway(dsn, application_name="reporting") as holder:

        def hold_and_write(call: int) -> None:
            if not call:
                holder.execute(holds.encode())
            write(dsn, 1)

        before_each(monkeypatch, "cut_over", hold_and_write)
        with pytest.raises(DatabaseError, match="was locked by reporting"):
            revisions.upgrade(dsn)
        assert under_lock.applied == []
        holder.rollback()
    revisions.upgrade(dsn)
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]
