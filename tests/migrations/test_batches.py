"""Ranges of old ids: every row in exactly one, whatever the gaps and the number of workers."""

import threading
from itertools import pairwise

import pytest
from psycopg import sql

from migrations.legacy import Legacy, inspect
from migrations.merge import batches
from migrations.merge.batches import Range, count, in_batches, workers_of
from migrations.merge.copy import copy_history
from migrations.merge.pacing import Pace
from migrations.merge.run import merge
from migrations.merge.statements import RANGE, Statements
from omniledger import revisions
from omniledger.database import Connection, Dsn, connect
from omniledger.settings import get_settings
from tests.conftest import Server, ask

TABLE = sql.SQL("public.audit_logs")


@pytest.fixture
def history(server: Server) -> Dsn:
    """The investigation's tables with some thousands of old rows more, and gaps among their ids."""
    dsn = server.state("investigation")
    ask(
        dsn,
        "insert into public.audit_logs (id, user_id, message, tokens_input, tokens_output,"
        " created_at) select 1000 + i * 7, 1 + i % 3, 'old ' || i, i, 1,"
        " '2026-02-10'::timestamptz + i * interval '1 minute' from generate_series(1, 12000) as i",
    )
    return dsn


def legacy_of(connection: Connection) -> Legacy:
    found = inspect(connection, "public")
    assert found is not None
    return found


@pytest.mark.parametrize("number", [1, 3])
def test_every_row_is_in_exactly_one_range(history: Dsn, number: int) -> None:
    counted = sql.SQL("select count(*) from {} where id > %s and id <= %s").format(TABLE)

    def act(worker: Connection, chunk: Range) -> int:
        row = worker.execute(counted, (chunk.after, chunk.upto)).fetchone()
        return int(row[0]) if row else -1

    with connect(history, autocommit=True) as connection, workers_of(connection, number) as crew:
        done = list(in_batches(connection, crew, TABLE, act))
        total = count(connection, TABLE)
    assert all(chunk.rows == found for chunk, found in done)
    assert sum(chunk.rows for chunk, _ in done) == total == 12_011
    ordered = sorted(done, key=lambda one: one[0].after)
    assert all(a.upto == b.after for (a, _), (b, _) in pairwise(ordered))


def test_the_least_id_that_there_is_is_in_a_range(server: Server) -> None:
    dsn = server.state("empty")
    ends = [-(2**63), 0, 2**63 - 1]
    ask(dsn, "create table public.far as select unnest(%s::bigint[]) as id", ends)
    chosen = sql.SQL("select array_agg(id order by id) from public.far as l where {}").format(RANGE)

    def act(worker: Connection, chunk: Range) -> list[int]:
        return worker.execute(chosen, chunk.values()).fetchall()[0][0]  # type: ignore[no-any-return]

    with connect(dsn, autocommit=True) as connection, workers_of(connection, 1) as crew:
        ranges = list(in_batches(connection, crew, sql.SQL("public.far"), act))
    assert [ids for _, ids in ranges] == [ends]


def test_workers_work_at_the_same_time(history: Dsn) -> None:
    met = threading.Barrier(2, timeout=20)

    def act(worker: Connection, chunk: Range) -> None:
        if chunk.after < 40_000:
            met.wait()

    with connect(history, autocommit=True) as connection, workers_of(connection, 2) as crew:
        batches_done = list(in_batches(connection, crew, TABLE, act))
    assert len(batches_done) > 1


def test_a_failure_of_one_batch_ends_the_step(history: Dsn) -> None:
    def act(worker: Connection, chunk: Range) -> None:
        if chunk.after > 0:
            raise ZeroDivisionError

    with (
        connect(history, autocommit=True) as connection,
        workers_of(connection, 2) as crew,
        pytest.raises(ZeroDivisionError),
    ):
        list(in_batches(connection, crew, TABLE, act))


def test_a_copy_with_two_workers_that_was_stopped_goes_on(history: Dsn) -> None:
    revisions.upgrade(history, "0006")
    with connect(history, autocommit=True) as connection:
        legacy = legacy_of(connection)
        with workers_of(connection, 2) as crew:
            for progress in copy_history(connection, crew, Statements(legacy), Pace()):
                if progress.done:
                    break
        # The first steps were passed over here, so the merge matches what is not yet copied.
        steps = []
        certificate = merge(
            connection,
            legacy,
            get_settings().match_window_seconds,
            lambda progress: steps.append(progress.step),
            workers=2,
        )
    assert certificate is not None and certificate.holds
    assert certificate.total == 12_011
    assert list(dict.fromkeys(steps)) == [
        "watching",
        "matching",
        "filling in",
        "copying",
        "catching up",
        "cutting over",
        "certifying",
    ]


def test_one_worker_and_three_come_to_the_same_certificate(history: Dsn, server: Server) -> None:
    found = []
    for number in (1, 3):
        dsn = server.new(history.dbname)
        revisions.upgrade(dsn, "0006")
        with connect(dsn, autocommit=True) as connection:
            found.append(
                merge(
                    connection,
                    legacy_of(connection),
                    get_settings().match_window_seconds,
                    workers=number,
                )
            )
    assert found[0] == found[1]
    assert found[0] is not None and found[0].matched == 2


def test_a_batch_grows_and_shrinks_to_its_target() -> None:
    size = batches.Size()
    size.learn(size.rows, batches.TARGET_SECONDS / 10)
    assert size.rows == 10_000
    size.learn(10_000, batches.TARGET_SECONDS * 4)
    assert size.rows == 2_500
    size.learn(2_500, 1e6)
    assert size.rows == 100
