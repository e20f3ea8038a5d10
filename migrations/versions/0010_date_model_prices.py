"""Let the operator's own prices stand before the list's, and every name of a model mean one model.

Locks: on `ledger.model_prices` ACCESS EXCLUSIVE for an instant, to give it two columns and a key
that tells own prices from the list's. Everything else is a new object.
Way back: own prices, discounts and names are dropped; functions are again what they were.

Revision ID: 0010
Revises: 0009
"""

from migrations.ddl import build_index, run, run_live, sql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_PRICES = "ledger.model_prices"


def _change_key(columns: str) -> None:
    build_index("model_prices_key", _PRICES, f"({columns})", unique=True)
    run_live(
        _PRICES,
        # Clients keep their guarantee: the new key is there in the same instant.
        "-- squawk-ignore ban-drop-constraint\n"
        f"alter table {_PRICES} drop constraint if exists model_prices_pkey,"
        " add constraint model_prices_pkey primary key using index model_prices_key",
    )


def upgrade() -> None:
    run_live(
        _PRICES,
        f"alter table {_PRICES} add column if not exists is_own boolean default false not null,"
        " add column if not exists discount numeric",
    )
    _change_key("model, is_own, valid_from")
    run(
        f"comment on column {_PRICES}.is_own is"
        " 'Whether the operator said it; such a price stands before the list''s.'"
    )
    run(
        f"comment on column {_PRICES}.discount is"
        " 'The share taken off the list price, where the own price is a discount.'"
    )
    run(sql("model_name_forms"))
    run(sql("model_names"))
    run(sql("usage_cost"))


def downgrade() -> None:
    run_live(_PRICES, "delete from ledger.model_prices where is_own")
    _change_key("model, valid_from")
    run_live(
        _PRICES,
        f"alter table {_PRICES} drop column if exists is_own, drop column if exists discount",
    )
    run(sql("price_functions"))
    run(
        "drop function if exists ledger.canonical_model, ledger.normal_model_name,"
        " ledger.bare_model_name"
    )
    run("drop table if exists ledger.model_names")
