"""The SQL of the migrations that stands in files; Alembic is not needed to read it."""

from functools import cache
from pathlib import Path


@cache
def sql(name: str) -> str:
    """The text of `migrations/sql/NAME.sql`."""
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")
