"""The tables of the schema `ledger` as the migrations leave them: what `alembic check` compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from omniledger.database import Connection, another

if TYPE_CHECKING:
    from alembic.migration import MigrationContext


metadata = sa.MetaData(schema="ledger")

COMPARING: dict[str, Any] = {
    "include_schemas": True,
    # Comments and defaults are the migrations' own words; only the shape is compared.
    "compare_server_default": False,
    "autogenerate_plugins": ["alembic.autogenerate.*", "~alembic.autogenerate.comments"],
}
"""How Alembic compares a database with `metadata`."""

_AT = sa.TIMESTAMP(timezone=True)
_Kind = type[TypeEngine[Any]] | TypeEngine[Any]


def _table(name: str, *columns: sa.Column[Any] | sa.Index) -> sa.Table:
    return sa.Table(name, metadata, *columns)


def _key(name: str, kind: _Kind = sa.Text) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _some(name: str, kind: _Kind = sa.Text) -> sa.Column[Any]:
    return sa.Column(name, kind)


def _must(name: str, kind: _Kind = sa.Text) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


_table("settings", _key("name"), _must("value"))
_table(
    "model_prices",
    _key("model"),
    _key("is_own", sa.Boolean),
    _key("valid_from", _AT),
    _some("valid_to", _AT),
    _must("input", sa.Numeric),
    _must("output", sa.Numeric),
    _some("cached_read", sa.Numeric),
    _some("cache_write_5m", sa.Numeric),
    _some("cache_write_1h", sa.Numeric),
    _must("source"),
    _some("discount", sa.Numeric),
)
_table("model_names", _key("name"), _must("model"), _must("source"))
_table(
    "limit_history",
    _some("user_id", sa.Integer),
    _must("valid_from", _AT),
    _must("cost_limit", sa.Numeric),
    _must("basis"),
    sa.Index("limit_history_user_id_idx", "user_id", "valid_from"),
)
_table("model_history", _key("valid_from", _AT), _must("model"))
_table(
    "user_map",
    _key("legacy_user_id", sa.BigInteger),
    _must("user_id", sa.Integer),
    _must("how"),
    _must("replaces", ARRAY(sa.Integer)),
)
_table(
    "deleted_days",
    _must("source_table"),
    _must("period_start", _AT),
    _must("change_xid", sa.BigInteger),
    sa.Index("deleted_days_change_xid_idx", "change_xid"),
)
_table(
    "audit_quarantine",
    _key("legacy_id", sa.BigInteger),
    _must("reason"),
    _must("row", JSONB),
    _must("quarantined_at", _AT),
)
_table(
    "audit_matches",
    _key("legacy_id", sa.BigInteger),
    sa.Column[Any]("audit_id", sa.BigInteger, nullable=False, unique=True),
    _must("gained", ARRAY(sa.Text)),
)
_table(
    "audit_tombstones",
    _must("legacy_id", sa.BigInteger),
    _must("deleted_at", _AT),
    sa.Index("audit_tombstones_legacy_id_idx", "legacy_id"),
)
_table(
    "audit_servers",
    _key("server_name"),
    _key("failed", sa.Boolean),
    _key("timestamp", _AT),
    _key("audit_id", sa.BigInteger),
)
_table(
    "audit_merge_changes",
    _key("change_id", sa.BigInteger),
    _must("legacy_id", sa.BigInteger),
)
_table(
    "merge_runs",
    _key("id", sa.BigInteger),
    _must("started_at", _AT),
    _some("finished_at", _AT),
    _must("legacy_table"),
    _some("rows_total", sa.BigInteger),
    _some("rows_copied", sa.BigInteger),
    _some("rows_matched", sa.BigInteger),
    _some("rows_quarantined", sa.BigInteger),
    _some("rows_ambiguous", sa.BigInteger),
    _some("users_unmapped", sa.BigInteger),
    _some("sums", JSONB),
    _some("checksum"),
    _some("holds", sa.Boolean),
    _some("detail"),
    _must("shape", JSONB),
    _some("cutover_xid", sa.BigInteger),
)
_table(
    "runs",
    _key("run_id", sa.Uuid),
    _must("started_at", _AT),
    _some("finished_at", _AT),
    _must("verdict"),
    _some("reason"),
    _some("figures", JSONB),
    _some("versions", JSONB),
)
_table(
    "run_steps",
    _key("run_id", sa.Uuid),
    _key("step"),
    _key("part"),
    _must("started_at", _AT),
    _some("seconds", sa.Numeric),
    _some("rows", sa.BigInteger),
    _some("detail"),
)
_table(
    "alerts",
    _key("id", sa.BigInteger),
    _must("kind"),
    _must("subject"),
    _must("sentence"),
    _must("opened_at", _AT),
    _some("resolved_at", _AT),
    _some("told_at", _AT),
    _some("end_told_at", _AT),
    _must("attempts", sa.Integer),
    _some("last_failure"),
    _must("missed_by", ARRAY(sa.Integer)),
    sa.Index(
        "alerts_open_idx",
        "kind",
        "subject",
        unique=True,
        postgresql_where=sa.text("resolved_at is null"),
    ),
)
_table(
    "prunings",
    _key("pruning_id", sa.BigInteger),
    _must("begun_at", _AT),
    _some("finished_at", _AT),
    _must("before_date", sa.Date),
    _must("before_at", _AT),
    _must("built_xmin", sa.BigInteger),
    _some("archive"),
    _must("audit_rows", sa.BigInteger),
    _must("health_rows", sa.BigInteger),
)
_table(
    "pruned_servers",
    _key("mcp_server_id", sa.Integer),
    _must("first_event_at", _AT),
    _must("pruned_until", _AT),
)
_table(
    "ingests",
    _key("id", sa.BigInteger),
    _must("taken_at", _AT),
    _must("identity"),
    _must("oldest_xid", sa.BigInteger),
    _must("next_xid", sa.BigInteger),
    _must("audit_rows", sa.BigInteger),
    _must("health_rows", sa.BigInteger),
    _some("why_all"),
)
_table(
    "gate_results",
    _must("run_id", sa.Uuid),
    _must("suite"),
    _must("expectation"),
    _some("column_name"),
    _must("severity"),
    _must("passed", sa.Boolean),
    _some("observed"),
    _some("unexpected_count", sa.BigInteger),
    _some("sample", JSONB),
    _must("judged_at", _AT),
    sa.Index("gate_results_run_id_idx", "run_id"),
)
_table(
    "forced_publications",
    _key("id", sa.BigInteger),
    _must("run_id", sa.Uuid),
    _must("forced_at", _AT),
    _must("forced_by"),
    _must("why"),
    _must("overridden", JSONB),
    _must("days", JSONB),
    _must("rows_published", sa.BigInteger),
)
_table(
    "bill_imports",
    _key("import_id", sa.BigInteger),
    _must("imported_at", _AT),
    _must("source"),
    _must("form"),
    _must("first_date", sa.Date),
    _must("last_date", sa.Date),
    _must("charges", sa.BigInteger),
    _must("amount_usd", sa.Numeric),
    _must("tokens", sa.Numeric),
    _must("buckets_changed", sa.BigInteger),
    _must("buckets_unchanged", sa.BigInteger),
)
_table(
    "provider_buckets",
    _key("fact"),
    _key("bucket_start", _AT),
    _must("bucket_end", _AT),
    _must("import_id", sa.BigInteger),
    _must("reported_at", _AT),
)


def _usage() -> tuple[sa.Column[Any], ...]:
    return (
        _must("bucket_start", _AT),
        _must("bucket_end", _AT),
        _some("model"),
        _must("token_kind"),
        _must("quantity", sa.Numeric),
        _some("service_tier"),
        _some("workspace"),
        _some("api_key"),
        _must("detail"),
        _must("import_id", sa.BigInteger),
    )


def _costs() -> tuple[sa.Column[Any], ...]:
    return (
        _must("bucket_start", _AT),
        _must("bucket_end", _AT),
        _some("model"),
        _must("cost_type"),
        _some("token_kind"),
        _must("amount_usd", sa.Numeric),
        _some("list_amount_usd", sa.Numeric),
        _some("service_tier"),
        _some("workspace"),
        _some("api_key"),
        _must("detail"),
        _must("import_id", sa.BigInteger),
    )


for _name, _columns in (("provider_usage", _usage), ("provider_costs", _costs)):
    _table(_name, *_columns(), sa.Index(f"{_name}_bucket_start_idx", "bucket_start"))
    _table(
        f"{_name}_history",
        *_columns(),
        _must("replaced_at", _AT),
        _must("replaced_by", sa.BigInteger),
    )


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Autogenerate and `alembic check` look at what the migrations own, and nothing else."""
    if kind == "schema":
        return name == "ledger"
    return kind != "table" or name in {table.name for table in metadata.tables.values()}


def engine_over(open_connection: Callable[[], Connection]) -> sa.Engine:
    """SQLAlchemy over connections that we open; each is closed when it is given back."""
    return sa.create_engine("postgresql+psycopg://", creator=open_connection, poolclass=sa.NullPool)


@contextmanager
def compared(connection: Connection) -> Iterator[MigrationContext]:
    """What Alembic compares with `metadata`: the database of a connection, on another one to it.

    SQLAlchemy begins and ends transactions as it likes; the caller may be inside of one.
    """
    from alembic.migration import MigrationContext

    with engine_over(partial(another, connection)).connect() as reading:
        yield MigrationContext.configure(reading, opts={**COMPARING, "include_name": include_name})
