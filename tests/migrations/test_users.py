"""The right person: two id spaces, the e-mail between them, and the operator's word above it."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrations import turns
from omniledger import revisions
from omniledger.database import Dsn
from omniledger.merging import correcting
from tests.conftest import Server, as_gateway, ask
from tests.killing import killed_at
from tests.migrations.operator import omniledger

WRITE = """
    insert into audit_logs (user_id, message)
    values ((select id from users where email = %s), %s)
    returning id
"""


@pytest.fixture
def merged(server: Server) -> Dsn:
    return server.state("investigation:upgraded")


def person(dsn: Dsn, legacy_id: int) -> int | None:
    """Whom the ledger charges for a row under the old name."""
    [(user,)] = ask(dsn, "select user_id from omni2.audit_logs where legacy_id = %s", legacy_id)
    return user  # type: ignore[no-any-return]


def test_the_same_number_is_another_person_in_the_other_space(merged: Dsn) -> None:
    # Ada is 1 there and 2 here; 1 here is an idle admin, who must not pay for her.
    assert ask(merged, "select count(*) from omni2.audit_logs where user_id = 1") == [(0,)]
    assert person(merged, 104) == 2


def test_in_one_id_space_who_is_not_the_gateways_is_nobody_where_its_log_takes_no_other(
    server: Server,
) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "alter table omni2.audit_logs add foreign key (user_id) references auth_service.users (id);"
        " alter table public.users drop column email; insert into public.users (id) values (9);"
        " insert into public.audit_logs (id, user_id, message) values (209, 9, 'old')",
    )
    revisions.upgrade(dsn)
    assert (person(dsn, 104), person(dsn, 209)) == (1, None)
    [(new,)] = ask(dsn, "insert into audit_logs (user_id, message) values (9, 'a') returning id")
    assert person(dsn, new) is None
    [(new,)] = ask(dsn, "insert into audit_logs (user_id, message) values (2, 'a') returning id")
    assert person(dsn, new) == 2


def test_a_turkish_database_knows_a_capital_i_of_an_address(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    if ask(dsn, "select 1 from pg_collation where collname = 'tr-x-icu'") == []:
        pytest.skip("this server was built without ICU")
    for table in ("public.users", "auth_service.users"):
        ask(dsn, f'alter table {table} alter email type text collate "tr-x-icu"')
    ask(dsn, "update public.users set email = 'BILL@EXAMPLE.COM' where id = 3")
    ask(dsn, "update auth_service.users set email = 'bill@example.com' where id = 1")
    revisions.upgrade(dsn)
    assert person(dsn, 105) == 1


def test_everybody_is_listed_and_who_is_nobody(merged: Dsn) -> None:
    people = omniledger(merged, "users", "list", "--json").document()
    assert [(p["legacy_id"], p["user_id"], p["how"], p["requests"]) for p in people] == [
        (1, 2, "e-mail", 2),
        (2, 3, "e-mail", 4),
        (3, None, None, 1),
        (4, None, None, 1),
    ]
    unmapped = omniledger(merged, "users", "list", "--unmapped").output
    assert "nobody@example.com" in unmapped
    assert "bob@example.com" not in unmapped


def test_the_operators_word_corrects_the_rows_that_are_there_at_once(each_server: Server) -> None:
    dsn = each_server.state("investigation:upgraded")
    stamp = "select change_xid from omni2.audit_logs where legacy_id = 105"
    before = ask(dsn, stamp)
    assert omniledger(dsn, "users", "map", "3", "1").output == "1 user mapped, 1 row corrected.\n"
    assert person(dsn, 105) == 1
    # Incremental models find the row.
    assert ask(dsn, stamp) > before
    # Above the e-mail too; the gateway's own rows, a match of Ada's among them, stay.
    own = ask(dsn, "select id, user_id from omni2.audit_logs where source_system = 'gateway'")
    omniledger(dsn, "users", "map", "1", "5")
    assert (person(dsn, 104), person(dsn, 101)) == (5, 2)
    assert (
        ask(dsn, "select id, user_id from omni2.audit_logs where source_system = 'gateway'") == own
    )
    # What is written from now on follows, and the daily run does not overrule it.
    ask(dsn, WRITE, " ada@example.com", "new")
    ask(dsn, "select ledger.map_users()")
    assert person(dsn, 112) == 5
    assert omniledger(dsn, "merge", "verify").code == 0


def test_a_user_that_somebody_set_by_hand_stays(merged: Dsn) -> None:
    ask(merged, "update omni2.audit_logs set user_id = 4 where legacy_id = 104")
    omniledger(merged, "users", "map", "1", "5")
    assert person(merged, 104) == 4


def test_a_correction_that_was_killed_goes_on(merged: Dsn) -> None:
    with killed_at(correcting, "_correct"):
        omniledger(merged, "users", "map", "2", "5")
    assert person(merged, 102) == 3
    omniledger(merged, "users", "map", "2", "1")
    assert person(merged, 102) == 1
    assert ask(merged, "select replaces from ledger.user_map where legacy_user_id = 2") == [([],)]


def test_the_word_is_taken_back(merged: Dsn) -> None:
    omniledger(merged, "users", "map", "1", "5")
    omniledger(merged, "users", "map", "3", "1")
    assert omniledger(merged, "users", "unmap", "1").output == "1 user unmapped, 1 row corrected.\n"
    omniledger(merged, "users", "unmap", "3")
    assert (person(merged, 104), person(merged, 105)) == (2, None)
    assert omniledger(merged, "users", "unmap", "1").code == 7


def test_a_file_maps_many_or_none(merged: Dsn, tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    for text, said in [
        ("a,b\n1,2\n", "its first line must be legacy_id,user_id"),
        ("legacy_id,user_id\n3,1\n4,x\n", "Line 3 of"),
        ("legacy_id,user_id\n3,1\n3,2\n", "names a user twice"),
        ("legacy_id,user_id\n3,1\n99,2\n", "Nobody has the id 99 under the old name"),
        ("legacy_id,user_id\n3,1\n4,99\n", "The gateway has no user 99"),
    ]:
        path.write_text(text)
        done = omniledger(merged, "users", "map", "--file", str(path))
        assert (done.code, said in done.refusal) == (7, True)
    away = omniledger(merged, "users", "map", "--file", str(tmp_path))
    assert (away.code, f"{tmp_path} can't be read: Is a directory." in away.refusal) == (7, True)
    assert person(merged, 105) is None
    path.write_text("legacy_id,user_id\n3,1\n4,4\n")
    assert omniledger(merged, "users", "map", "--file", str(path)).code == 0
    assert (person(merged, 105), person(merged, 110)) == (1, 4)


@pytest.mark.parametrize("ids", [("99", "1"), ("3", "99"), ("9" * 30, "1"), ("3", "9" * 30)])
def test_ids_that_are_nobodys_are_refused(merged: Dsn, ids: tuple[str, str]) -> None:
    assert omniledger(merged, "users", "map", *ids).code == 7


def test_the_map_stands_still_while_a_merge_reads_it(merged: Dsn) -> None:
    with turns.taken(merged, print):
        done = omniledger(merged, "users", "map", "3", "1")
    assert (done.code, "is at work" in done.refusal) == (4, True)


def test_what_is_said_before_the_merge_counts_in_it(server: Server) -> None:
    dsn = server.state("investigation")
    revisions.upgrade(dsn, "head", "merge=later")
    assert omniledger(dsn, "users", "map", "3", "1").output == "1 user mapped, 0 rows corrected.\n"
    omniledger(dsn, "merge", "run")
    assert person(dsn, 105) == 1


def test_an_address_that_changes_later_changes_nobody(merged: Dsn) -> None:
    ask(merged, "update auth_service.users set email = 'robert@example.com' where id = 3")
    ask(merged, "update auth_service.users set email = 'bob@example.com' where id = 1")
    ask(merged, "select ledger.map_users()")
    ask(merged, WRITE, "bob@example.com", "after")
    assert (person(merged, 102), person(merged, 112)) == (3, 3)


def test_case_and_spaces_aside_and_doubled_or_missing_addresses_name_nobody(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "alter table auth_service.users alter email drop not null;"
        " insert into auth_service.users (id, email) values (6, ' EVE@example.com '), (7, null);"
        " insert into public.users (id, email) values (6, 'Eve@Example.com'), (7, null),"
        " (8, 'eve@example.com ');"
        " insert into audit_logs (id, user_id, message)"
        " values (206, 6, 'a'), (207, 7, 'b'), (208, 8, 'c'), (204, 4, 'd')",
    )
    revisions.upgrade(dsn)
    # Two old users with one address are one person; two of the gateway's are nobody.
    assert [person(dsn, id_) for id_ in (206, 207, 208, 204)] == [6, None, 6, None]


BLANK = """
    insert into auth_service.users (id, email) values (9, '');
    insert into public.users (id, email) values (9, '  ');
"""


@pytest.mark.parametrize("known", ["before", "since", "0033"])
def test_a_blank_address_is_nobodys(each_server: Server, known: str) -> None:
    dsn = each_server.state("investigation")
    if known == "0033":
        revisions.upgrade(dsn, known)
        # As it was made there.
        [(resolve,)] = ask(
            dsn, "select pg_get_functiondef('ledger.resolve_user(bigint)'::regprocedure)"
        )
        ask(dsn, resolve.replace("NULLIF", "coalesce").replace("nullif", "coalesce"))
    if known == "since":
        revisions.upgrade(dsn)
    ask(dsn, BLANK + "insert into audit_logs (id, message) values (209, 'old')")
    if known == "before":
        ask(dsn, "update audit_logs set user_id = 9 where id = 209")
    revisions.upgrade(dsn)
    ask(dsn, "insert into audit_logs (id, user_id, message) values (210, 9, 'live')")
    ask(dsn, "select ledger.map_users()")
    assert [person(dsn, id_) for id_ in (209, 210)] == [None, None]
    assert ask(dsn, "select count(*) from ledger.user_map where legacy_user_id = 9") == [(0,)]


def test_a_user_who_is_deleted_there_or_here_leaves_the_rows(each_server: Server) -> None:
    dsn = each_server.state("investigation:upgraded")
    ask(dsn, "delete from public.users where id = 2")
    # What the old foreign key did still happens; who is charged does not change.
    assert ask(dsn, "select user_id from audit_logs where id = 102") == [(None,)]
    assert person(dsn, 102) == 3
    ask(dsn, "delete from auth_service.users where id = 2")
    assert person(dsn, 104) == 2


def test_users_who_are_new_after_the_cut_over_join_on_their_first_write(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation:upgraded")
    # As the chat writer does it: look up, insert, write, all by unqualified names.
    assert ask(dsn, "select id from users where email = 'new@example.com'") == []
    ask(dsn, "insert into auth_service.users (id, email) values (9, 'New@example.com')")
    ask(
        dsn,
        "insert into users (id, email) values (50, 'new@example.com'), (51, 'late@example.com')",
    )
    ask(dsn, WRITE, "new@example.com", "first")
    ask(dsn, WRITE, "late@example.com", "first")
    assert (person(dsn, 112), person(dsn, 113)) == (9, None)
    # Whom the gateway learns of later is found by the next run.
    ask(dsn, "insert into auth_service.users (id, email) values (10, 'late@example.com')")
    ask(dsn, "select ledger.map_users()")
    assert person(dsn, 113) == 10


def test_in_one_id_space_the_operators_word_counts_too(server: Server) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "alter table public.audit_logs drop constraint audit_logs_user_id_fkey,"
        " add foreign key (user_id) references auth_service.users (id)",
    )
    revisions.upgrade(dsn)
    omniledger(dsn, "users", "map", "2", "5")
    with as_gateway(dsn) as connection:
        connection.execute("insert into audit_logs (user_id, message) values (2, 'x')")
    assert (person(dsn, 102), person(dsn, 112)) == (5, 5)
    omniledger(dsn, "users", "unmap", "2")
    assert (person(dsn, 102), person(dsn, 112)) == (2, 2)
