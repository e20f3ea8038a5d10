"""A database whose marts are built and right, and a way to spoil it."""

from pathlib import Path

from omniledger.database import Dsn, connect
from omniledger.settings import PROJECT_DIR
from tests.conftest import Server

_MARTS = Path(__file__).with_name("marts.sql")
_SQL = PROJECT_DIR / "migrations" / "sql"
_NAME = "built marts"


def built_marts(server: Server) -> Dsn:
    """A database of its own with the marts of `marts.sql`."""
    if _NAME not in server.templates:
        server.templates[_NAME] = build_marts(server.new())
    return server.new(server.templates[_NAME].dbname)


def build_marts(dsn: Dsn) -> Dsn:
    """The marts of `marts.sql` in an empty database."""
    with connect(dsn) as connection:
        connection.execute(_MARTS.read_bytes())
        for name in ("run_steps", "forced_publications", "model_name_forms", "model_names"):
            connection.execute((_SQL / f"{name}.sql").read_bytes())
    return dsn


def spoil(dsn: Dsn, *statements: str) -> None:
    """Change a database behind everybody's back."""
    with connect(dsn) as connection:
        for statement in statements:
            connection.execute(statement.encode())
