"""What the ledger can't hold is set aside whole, whatever it is made of."""

from __future__ import annotations

import pytest

from omniledger import revisions
from omniledger.database import Dsn
from tests.conftest import Server, ask
from tests.migrations.operator import omniledger

ODD_JSON = ('{"a":"\\u0000"}', '{"a":"\\ud800"}', '{"a":1e999999}')
"""JSON that a column of type json takes, and jsonb doesn't."""

ASIDE = "select legacy_id, reason, row from ledger.audit_quarantine order by legacy_id"


@pytest.fixture
def odd(server: Server) -> Dsn:
    return server.state("odd_json:upgraded")


def test_old_rows_with_json_that_jsonb_refuses_are_set_aside_as_text(each_server: Server) -> None:
    dsn = each_server.state("odd_json")
    revisions.upgrade(dsn)
    aside = {id_: (reason, row) for id_, reason, row in ask(dsn, ASIDE)}
    assert {id_: reason for id_, (reason, _) in aside.items()} == {
        1: "the row has no time",
        2: "its cost is NaN, not an amount",
        3: "the row has no time",
        4: "the row has no time",
        5: "the row has no time",
    }
    assert aside[1][1]["plain"] == '{"a":"\\u0000"}'
    assert aside[2][1]["plain"] == '{"a":"\\ud800"}'
    assert aside[3][1]["tool_params"] == '{"a":1e999999}'
    assert aside[4][1]["several"] == '{"{}","{\\"a\\":\\"\\\\u0000\\"}"}'
    # What jsonb can hold is no text, in those rows neither.
    assert (aside[1][1]["id"], aside[1][1]["message"], aside[1][1]["words"]) == (
        1,
        "no character",
        None,
    )
    assert aside[5][1]["plain"] == {"a": 2}
    assert ask(dsn, "select id, plain::text from audit_logs") == [(6, '{"a":"\\u0000"}')]
    assert omniledger(dsn, "merge", "verify").code == 0


@pytest.mark.parametrize("given", ["null", "'{}'"])
def test_a_row_is_set_aside_whole_whatever_its_columns_are_called(
    server: Server, given: str
) -> None:
    dsn = server.state("gateway")
    ask(dsn, "alter table public.audit_logs add l jsonb, add q text, add r text, add was text")
    ask(
        dsn,
        "insert into public.audit_logs (message, l, r, created_at)"
        f" values ('no time', {given}, 'r', null)",
    )
    revisions.upgrade(dsn)
    [(id_, _, row)] = ask(dsn, ASIDE)
    assert (row["message"], row["l"], row["r"]) == ("no time", None if given == "null" else {}, "r")
    ask(
        dsn,
        'update ledger.audit_quarantine set row = row || \'{"created_at": "2026-02-10 12:00+00"}\'',
    )
    assert omniledger(dsn, "merge", "retry-quarantine").code == 0
    assert ask(dsn, f"select message, r from audit_logs where id = {id_}") == [("no time", "r")]


@pytest.mark.parametrize("document", ODD_JSON)
@pytest.mark.parametrize(
    ("columns", "values", "reason"),
    [
        ("created_at", "null", "the row has no time"),
        ("cost_estimate", "'NaN'", "its cost is NaN, not an amount"),
    ],
)
def test_a_live_row_with_json_that_jsonb_refuses_is_kept_and_set_aside(
    odd: Dsn, document: str, columns: str, values: str, reason: str
) -> None:
    ask(
        odd,
        f"insert into audit_logs (message, plain, {columns}) values ('x', %s, {values})",
        document,
    )
    assert ask(odd, "select id, plain::text from audit_logs where message = 'x'") == [(7, document)]
    ask(odd, "insert into audit_logs (id, message, plain) values (8, 'y', %s)", document)
    ask(odd, f"update audit_logs set {columns} = {values} where id = 8")
    assert ask(
        odd,
        "select legacy_id, reason, row ->> 'plain', row ->> 'question'"
        " from ledger.audit_quarantine where legacy_id > 6 order by 1",
    ) == [(7, reason, document, "x"), (8, reason, document, "y")]


def test_databases_that_were_upgraded_before_learn_it(server: Server) -> None:
    dsn = server.state("odd_json:0033")
    # As it was made there.
    [(fill_in,)] = ask(dsn, "select pg_get_functiondef('ledger.fill_in_audit_log()'::regprocedure)")
    ask(dsn, fill_in.replace("ledger.audit_as_json", "to_jsonb"))
    ask(dsn, "drop function ledger.audit_as_json")
    revisions.upgrade(dsn)
    ask(
        dsn,
        "insert into audit_logs (message, plain, created_at) values ('x', %s, null)",
        ODD_JSON[0],
    )
    assert ask(dsn, "select count(*) from ledger.audit_quarantine") == [(6,)]
    assert omniledger(dsn, "merge", "verify").code == 0
    revisions.downgrade(dsn, "base")
    assert ask(dsn, "select to_regproc('ledger.audit_as_json') is null") == [(True,)]
    assert ask(dsn, "select plain::text from audit_logs where message = 'x'") == [(ODD_JSON[0],)]


def test_rows_are_set_aside_on_the_way_back_too(server: Server) -> None:
    """What fills in is there until its own revision goes, and so is what it calls."""
    dsn = server.state("investigation:upgraded")
    revisions.downgrade(dsn, "0006")
    ask(
        dsn,
        "insert into omni2.audit_logs (legacy_id, question, cost_usd) values (7777, 'q', 'NaN')",
    )
    assert ask(dsn, "select reason from ledger.audit_quarantine where legacy_id = 7777") == [
        ("its cost is NaN, not an amount",)
    ]


def mend(dsn: Dsn, legacy_id: int, name: str, value: str) -> None:
    ask(
        dsn,
        "update ledger.audit_quarantine set row = row || jsonb_build_object(%s::text, %s::jsonb)"
        " where legacy_id = %s",
        name,
        value,
        legacy_id,
    )


def test_what_nobody_mended_comes_from_the_old_row_to_the_letter(odd: Dsn) -> None:
    for id_ in (1, 3, 4, 5):
        mend(odd, id_, "created_at", '"2026-02-10 12:00+00"')
    mend(odd, 2, "cost_estimate", "2")
    mend(odd, 4, "words", '["mended"]')
    assert omniledger(odd, "merge", "retry-quarantine", "--json").document()["brought"] == 5
    shown = (
        "select id, coalesce(plain, tool_params, several[1])::text, words::text from audit_logs"
        " where id < 6 order by id"
    )
    whole = [
        (1, ODD_JSON[0], None),
        (2, ODD_JSON[1], None),
        (3, ODD_JSON[2], None),
        (4, "{}", "{mended}"),
        (5, '{"a":  1, "a":2}', "[3:4]={x,NULL}"),
    ]
    assert ask(odd, shown) == whole
    assert omniledger(odd, "merge", "verify").code == 0
    revisions.downgrade(odd, "0006")
    assert ask(odd, shown) == whole


def test_a_value_that_the_operator_took_away_is_none(odd: Dsn) -> None:
    mend(odd, 5, "created_at", '"2026-02-10 12:00+00"')
    ask(odd, "update ledger.audit_quarantine set row = row - 'message' where legacy_id = 5")
    omniledger(odd, "merge", "retry-quarantine")
    assert ask(odd, "select message, words::text from audit_logs where id = 5") == [
        (None, "[3:4]={x,NULL}")
    ]


def test_a_live_row_with_odd_json_gains_what_it_lacked(odd: Dsn) -> None:
    ask(
        odd,
        "insert into audit_logs (message, plain, several, created_at) values ('x', %s,"
        " array['{}', %s]::json[], null)",
        ODD_JSON[0],
        ODD_JSON[0],
    )
    mend(odd, 7, "timestamp", '"2026-02-10 12:00+00"')
    assert omniledger(odd, "merge", "retry-quarantine", "--json").document()["brought"] == 1
    assert ask(odd, "select plain::text, created_at is null from audit_logs where id = 7") == [
        (ODD_JSON[0], False)
    ]
