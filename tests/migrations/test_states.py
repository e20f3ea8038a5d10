"""The state matrix: every state of a gateway that an upgrade may find, and what becomes of it.

Run it by itself with `python -m pytest tests/migrations/test_states.py -v`.
"""

import dataclasses
from collections.abc import Iterator
from decimal import Decimal

import pytest

from migrations.columns import read_columns
from omniledger import revisions, settings
from omniledger.database import Dsn, connect
from omniledger.errors import NotReadyError, OmniledgerError, SettingsError
from tests.conftest import Server, ask
from tests.migrations.dumps import dump

CARRIED = {
    "investigation": "public",
    "lineage_with_search": "public",
    "lineage_without_message_search": "public",
    "own_triggers": "public",
    "cost_float_by_hand": "public",
    "cost_scaled_by_hand": "public",
    "cost_text_by_hand": "public",
    "local_times_and_float_costs": "public",
    "only_the_needful": "public",
    "id_identity_always": "public",
    "id_without_sequence": "public",
    "id_from_an_unowned_sequence": "public",
    "odd_columns": "public",
    "generated_columns": "public",
    "only_the_old_table": "public",
    "no_old_table": "public",
    "other_schema": "chat",
}
"""Each state and the schema of its old name."""

ADDS = ("only_the_old_table", "no_old_table")
"""States in which the upgrade makes tables that a downgrade leaves."""


@pytest.fixture(autouse=True)
def _own_settings() -> Iterator[None]:
    yield
    settings.get_settings.cache_clear()


def set_schema(monkeypatch: pytest.MonkeyPatch, schema: str) -> None:
    monkeypatch.setenv("OMNILEDGER_LEGACY_SCHEMA", schema)
    settings.get_settings.cache_clear()


def old_rows(dsn: Dsn, schema: str) -> dict[int, str]:
    if ask(dsn, "select to_regclass(%s)", f"{schema}.audit_logs") == [(None,)]:
        return {}
    return dict(ask(dsn, f"select id, a::text from {schema}.audit_logs as a"))


def old_types(dsn: Dsn, schema: str) -> list[tuple[str, str]]:
    with connect(dsn) as connection:
        return [(c.name, c.type) for c in read_columns(connection, f"{schema}.audit_logs")]


@pytest.mark.parametrize("state", CARRIED)
def test_a_state_is_carried_there_and_back_and_there_again(
    each_server: Server, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = CARRIED[state]
    set_schema(monkeypatch, schema)
    dsn = each_server.state(state)
    before, rows, types = dump(dsn), old_rows(dsn, schema), old_types(dsn, schema)

    revisions.upgrade(dsn)
    quarantined = {id_ for (id_,) in ask(dsn, "select legacy_id from ledger.audit_quarantine")}
    shown = {id_: row for id_, row in rows.items() if id_ not in quarantined}
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(len(rows), True)]
    assert old_rows(dsn, schema) == shown
    assert old_types(dsn, schema) == (types or old_types(dsn, schema))

    revisions.downgrade(dsn, "base")
    after = dump(dsn)
    if state in ADDS:
        assert set(before) <= set(after)
    else:
        assert without_start(after) == without_start(before)
    assert old_rows(dsn, schema) == rows

    revisions.upgrade(dsn)
    assert old_rows(dsn, schema) == shown


def without_start(lines: list[str]) -> list[str]:
    """A sequence that was made anew begins where the old one was."""
    return [line for line in lines if "START WITH" not in line]
