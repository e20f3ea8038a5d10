"""The operator's word on who is who, taken back, killed, given twice at once, while rows come."""

from __future__ import annotations

import threading

import pytest

from migrations import turns
from omniledger import revisions
from omniledger.database import Dsn, connect
from omniledger.merging import correcting
from omniledger.merging.people import People
from omniledger.settings import get_settings
from tests.conftest import Server, as_gateway, ask
from tests.faults.harness import wait_until
from tests.killing import killed_at
from tests.migrations.operator import Said, omniledger
from tests.migrations.test_users import person


@pytest.fixture
def merged(server: Server) -> Dsn:
    return server.state("investigation:upgraded")


def test_who_was_found_at_the_first_write_is_mapped_otherwise(merged: Dsn) -> None:
    ask(merged, "insert into auth_service.users (id, email) values (9, 'new@example.com')")
    ask(merged, "insert into users (id, email) values (50, 'new@example.com')")
    ask(merged, "insert into audit_logs (user_id, message) values (50, 'first')")
    assert person(merged, 112) == 9
    assert omniledger(merged, "users", "map", "50", "1").output == (
        "1 user mapped, 1 row corrected.\n"
    )
    assert person(merged, 112) == 1
    omniledger(merged, "users", "unmap", "50")
    assert person(merged, 112) == 9


def test_who_is_new_in_one_id_space_is_mapped_otherwise(server: Server) -> None:
    dsn = server.state("investigation")
    ask(dsn, "alter table public.users drop column email")
    revisions.upgrade(dsn)
    ask(dsn, "insert into users (id) values (5)")
    ask(dsn, "insert into audit_logs (user_id, message) values (5, 'first')")
    assert person(dsn, 112) == 5
    omniledger(dsn, "users", "map", "5", "1")
    assert person(dsn, 112) == 1
    # Where the numbers are one space, a chain and a swap are each their own word.
    for legacy, user in ((1, 2), (2, 3), (3, 1)):
        omniledger(dsn, "users", "map", str(legacy), str(user))
    assert [person(dsn, id_) for id_ in (104, 102, 105)] == [2, 3, 1]
    assert ask(dsn, "select user_id from audit_logs where id in (102, 104, 105) order by id") == [
        (2,),
        (1,),
        (3,),
    ]


@pytest.mark.parametrize("again", ["unmap", "map"])
@pytest.mark.parametrize(("legacy", "row", "found"), [("3", 105, None), ("1", 104, 2)])
def test_an_unmapping_that_was_killed_goes_on(
    merged: Dsn, legacy: str, row: int, found: int | None, again: str
) -> None:
    omniledger(merged, "users", "map", legacy, "5")
    with killed_at(correcting, "_correct"):
        omniledger(merged, "users", "unmap", legacy)
    assert person(merged, row) == 5
    if again == "map":
        omniledger(merged, "users", "map", legacy, "4")
        assert person(merged, row) == 4
    said = omniledger(merged, "users", "unmap", legacy)
    assert (said.code, said.output) == (0, "1 user unmapped, 1 row corrected.\n")
    assert person(merged, row) == found
    assert omniledger(merged, "users", "unmap", legacy).code == 7


def test_whom_the_e_mail_found_after_a_killed_unmapping_pays(merged: Dsn) -> None:
    omniledger(merged, "users", "map", "3", "5")
    with killed_at(correcting, "_correct"):
        omniledger(merged, "users", "unmap", "3")
    ask(merged, "insert into auth_service.users (id, email) values (9, 'nobody@example.com')")
    ask(merged, "select ledger.map_users()")
    assert person(merged, 105) == 5
    omniledger(merged, "users", "unmap", "3")
    assert person(merged, 105) == 9


def test_a_row_that_somebody_is_just_giving_another_user_is_theirs(
    merged: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correcting, "_SETTLE_SECONDS", 0)
    said: list[Said] = []
    waits = "select exists (select from pg_locks where not granted)"
    thread = threading.Thread(
        target=lambda: said.append(omniledger(merged, "users", "map", "2", "5"))
    )
    with as_gateway(merged) as somebody:
        somebody.execute("update omni2.audit_logs set user_id = 4 where legacy_id = 102")
        thread.start()
        wait_until("the mapping", lambda: not thread.is_alive() or ask(merged, waits) == [(True,)])
        # Nobody has to wait for whom that row is.
        assert (person(merged, 109), ask(merged, waits)) == (5, [(False,)])
        somebody.commit()
    thread.join()
    omniledger(merged, "users", "map", "2", "5")
    assert (person(merged, 102), person(merged, 109)) == (4, 5)
    assert ask(merged, "select replaces from ledger.user_map where legacy_user_id = 2") == [([],)]


def test_an_unmapping_that_met_an_open_transaction_is_said_again(
    merged: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correcting, "_SETTLE_SECONDS", 0)
    omniledger(merged, "users", "map", "3", "1")
    with as_gateway(merged) as writer:
        writer.execute("insert into audit_logs (user_id, message) values (3, 'late')")
        omniledger(merged, "users", "unmap", "3")
        writer.commit()
    assert person(merged, 112) == 1
    assert omniledger(merged, "users", "unmap", "3").output == "1 user unmapped, 1 row corrected.\n"
    assert person(merged, 112) is None


def test_no_merge_takes_its_turn_while_the_map_changes(
    merged: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    require = People._require_known

    def look(self: People, legacy: int) -> None:
        with connect(merged, autocommit=True) as other:
            seen.append(turns.is_taken(other))
        require(self, legacy)

    monkeypatch.setattr(People, "_require_known", look)
    assert omniledger(merged, "users", "map", "3", "1").code == 0
    assert seen == [True]


def test_said_by_two_at_once_while_rows_come_the_last_word_holds(merged: Dsn) -> None:
    written = threading.Event()
    problems: list[Exception] = []

    def write() -> None:
        with as_gateway(merged, autocommit=True) as connection:
            while not written.is_set():
                for query in (
                    "insert into audit_logs (user_id, message) values (3, 'w')",
                    "insert into omni2.audit_logs (user_id, question, success)"
                    " values (4, 'g', true)",
                    "update audit_logs set status = 'again' where id = 105",
                ):
                    connection.execute(query.encode())

    def say(*users: int) -> None:
        try:
            with connect(merged, autocommit=True) as connection:
                people = People(connection, get_settings())
                for user in users:
                    people.map([(3, user)])
        except Exception as error:
            problems.append(error)

    writer = threading.Thread(target=write)
    sayers = [threading.Thread(target=say, args=users) for users in ((1, 2, 1, 2), (4, 5, 4, 5))]
    for thread in (writer, *sayers):
        thread.start()
    for thread in sayers:
        thread.join()
    written.set()
    writer.join()
    assert problems == []
    [(last,)] = ask(merged, "select user_id from ledger.user_map where legacy_user_id = 3")
    assert ask(
        merged,
        "select distinct user_id from omni2.audit_logs"
        " where legacy_user_id = 3 and source_system <> 'gateway'",
    ) == [(last,)]
    assert ask(merged, "select distinct user_id from audit_logs where message = 'w'") == [(3,)]
    assert ask(merged, "select distinct user_id from omni2.audit_logs where question = 'g'") == [
        (4,)
    ]
    assert omniledger(merged, "merge", "verify").code == 0
