"""A real PostgreSQL, and databases on it in each starting state."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from shutil import disk_usage, rmtree
from typing import Any

import pytest
from psycopg import sql

from omniledger import revisions
from omniledger.database import Connection, Dsn, connect
from omniledger.embedded import EmbeddedServer
from omniledger.garbage import collect_seldom

pytest_plugins = ["tests.browser"]

STATES = Path(__file__).parent / "states"
GATEWAY = Path(__file__).parent.parent / "samples" / "gateway.sql"

UNSAFE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
"""What a server that may lose everything needs not do."""

MEMORY, IN_MEMORY = Path("/dev/shm"), "omniledger-tests-"  # noqa: S108 (its names have our process id)
ROOT = MEMORY / f"{IN_MEMORY}{os.getpid()}"
"""Where this process keeps its files there."""

WORKER_BYTES = 6 * 2**30
"""What one process of the tests writes, twice over."""

State = Callable[[Connection], None]

collect_seldom()


LONGEST = (
    "test_schedule.py",
    "test_pipeline.py",
    "test_states.py",
    "test_rebuilt_days.py",
    "test_gate.py",
    "test_embedded.py",
    "test_bad_input.py",
    "test_changed_days.py",
    "test_cli.py",
    "test_wheel.py",
    "test_health_days.py",
    "test_waiting.py",
    "test_saying.py",
    "test_browser.py",
    "test_commands.py",
    "test_forcing.py",
    "test_random_histories.py",
    "test_pruned_days.py",
    "test_elsewhere.py",
    "test_secrets.py",
    "test_kills.py",
    "test_publish.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Write to memory where there is plenty, and no other folder was asked for.

    A disk takes ever longer to make the thousands of files of a database, the more were deleted.
    """
    if hasattr(config, "workerinput") or config.option.basetemp is not None:
        return
    workers = int(config.getoption("numprocesses", None) or 1)
    if not MEMORY.is_dir() or disk_usage(MEMORY).free < workers * WORKER_BYTES:
        return
    for left in MEMORY.glob(f"{IN_MEMORY}*"):
        # Of tests that failed, or were killed.
        if not Path("/proc", left.name.removeprefix(IN_MEMORY)).exists():
            rmtree(left, ignore_errors=True)
    ROOT.mkdir()
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(ROOT)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(exitstatus: int) -> Iterator[None]:
    """Leave in memory only what tells why a test failed, until the next run."""
    yield
    if exitstatus == 0:
        rmtree(ROOT, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that none is left to one core when all else is done."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


def from_files(*files: Path) -> State:
    """A starting state out of SQL files."""

    def fill(connection: Connection) -> None:
        connection.execute("reset search_path")
        for file in files:
            connection.execute(file.read_text().encode())

    return fill


@dataclass
class Server:
    """A server and the databases that tests made on it; states are made once and copied."""

    dsn: Dsn
    copying: str = ""
    """How a database is copied, where it is not left to the server."""
    templates: dict[str, Dsn] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    made: list[str] = field(default_factory=list)

    def new(self, template: str = "template0") -> Dsn:
        """A database of its own, copied from `template`."""
        name = f"omniledger_test_{os.getpid()}_{next(self.numbers)}"
        with connect(self.dsn, autocommit=True) as connection:
            self.copy(connection, template, name)
        self.made.append(name)
        return replace(self.dsn, dbname=name)

    def new_in(self, encoding: str) -> Dsn:
        """An empty database whose text is in an encoding of PostgreSQL's."""
        name = f"omniledger_test_{os.getpid()}_{next(self.numbers)}"
        with connect(self.dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} template template0 encoding {} locale 'C'").format(
                    sql.Identifier(name), encoding
                )
            )
        self.made.append(name)
        return replace(self.dsn, dbname=name)

    def copy(self, connection: Connection, template: str, name: str) -> None:
        """Make the database `name` out of `template`."""
        connection.execute(
            sql.SQL("create database {} template {} {}").format(
                sql.Identifier(name), sql.Identifier(template), sql.SQL(self.copying)
            )
        )

    def state(self, name: str) -> Dsn:
        """A database in a state: `empty`, `gateway`, the name of a file in `tests/states`, or one
        of them and `:upgraded`, or `:` and the revision that it is at."""
        if name not in self.templates:
            base, _, revision = name.partition(":")
            dsn = self.new()
            with connect(dsn) as connection:
                if base != "empty":
                    from_files(GATEWAY)(connection)
                if base not in ("empty", "gateway"):
                    from_files(STATES / f"{base}.sql")(connection)
            if revision == "upgraded":
                revisions.upgrade(dsn)
                # As change data capture has it; it refuses deletes from tables without a key.
                ask(dsn, "create publication captured for all tables")
            elif revision:
                revisions.upgrade(dsn, revision)
            self.templates[name] = dsn
        return self.new(self.templates[name].dbname)

    def drop_all(self) -> None:
        """Leave nothing on a server that isn't ours alone."""
        with connect(self.dsn, autocommit=True) as connection:
            for name in self.made:
                connection.execute(
                    sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
                )


@contextmanager
def started(root: Path, bin_dir: Path | None, **options: str) -> Iterator[Server]:
    embedded = EmbeddedServer(root, bin_dir=bin_dir, options={**UNSAFE, **options})
    with embedded.lease() as endpoint:
        dsn = Dsn(endpoint.host, endpoint.port, endpoint.dbname, endpoint.user, endpoint.password)
        with connect(dsn) as connection:
            version = connection.info.server_version
            if version >= 160000:
                # Tests connect thousands of times, and need no slow hash against guessing.
                connection.execute("set scram_iterations = 1")
                connection.execute(
                    sql.SQL("alter role current_user password {}").format(dsn.password)
                )
        # Files are copied sooner than pages are logged; this is the way before PostgreSQL 15.
        yield Server(dsn, "strategy file_copy" if version >= 150000 else "")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of the tests: that of `DATABASE_URL`, else the embedded one."""
    url = os.environ.get("DATABASE_URL")
    if url:
        given = Server(Dsn.parse(url))
        yield given
        given.drop_all()
        return
    root = tmp_path_factory.mktemp("postgres")
    with started(root, None) as server:
        yield server
    rmtree(root, ignore_errors=True)


def other_server_programs() -> list[Path]:
    """Programs of other PostgreSQL versions: folders, or `all` that Debian put on this machine."""
    named = os.environ.get("OMNILEDGER_TEST_PG_BIN", "")
    if named == "all":
        return sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return [Path(folder) for folder in named.split(os.pathsep) if folder]


@pytest.fixture(scope="session")
def other_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Started when first asked for, by the folder of their programs."""
    servers: dict[str, Server] = {}
    contexts = []
    for programs in other_server_programs():
        context = started(tmp_path_factory.mktemp("other"), programs)
        servers[str(programs)] = context.__enter__()
        contexts.append(context)
    yield servers
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.fixture(
    params=["embedded", *map(str, other_server_programs())],
    ids=lambda programs: programs.removeprefix("/usr/lib/").replace("/bin", ""),
)
def each_server(request: pytest.FixtureRequest) -> Server:
    """The test's server, and again each other version that was asked for."""
    if request.param == "embedded":
        return request.getfixturevalue("server")  # type: ignore[no-any-return]
    return request.getfixturevalue("other_servers")[request.param]  # type: ignore[no-any-return]


HURRY = {
    "default_transaction_isolation": "serializable",
    "idle_in_transaction_session_timeout": "50ms",
    "idle_session_timeout": "50ms",
    "lock_timeout": "5ms",
    "statement_timeout": "20ms",
    "transaction_timeout": "100ms",
    "DateStyle": "German",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kathmandu",
    "extra_float_digits": "-3",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
}
"""What a database may give each of its sessions, and no long work and no reader is fit for."""


@pytest.fixture
def tenant(server: Server) -> Iterator[Dsn]:
    """A database in a hurry, whose owner may nearly nothing, and can't write to `public`."""
    dsn = server.new()
    role = f"tenant_{os.getpid()}"
    with connect(dsn, autocommit=True) as admin:
        for statement in (
            f"create role {role} login password 'tenant' nosuperuser nocreatedb nocreaterole",
            "revoke all on schema public from public",
            f"grant usage on schema public to {role}",
            "create schema gateway",
            f"alter schema gateway owner to {role}",
            f"grant create on database {dsn.dbname} to {role}",
            f"alter role {role} in database {dsn.dbname} set search_path = gateway",
        ):
            admin.execute(statement.encode())
        # Some of them came with later versions.
        for (name,) in admin.execute(
            "select name from pg_settings where name = any(%s)", (list(HURRY),)
        ).fetchall():
            admin.execute(f"alter database {dsn.dbname} set {name} = '{HURRY[name]}'".encode())
    yield Dsn.parse(f"postgresql://{role}:tenant@{dsn.host}:{dsn.port}/{dsn.dbname}")
    with connect(dsn, autocommit=True) as admin:
        admin.execute(f"drop owned by {role} cascade".encode())
        admin.execute(f"drop role {role}".encode())


def version(dsn: Dsn) -> int:
    """The major version of a database's server: 13 and later."""
    with connect(dsn) as connection:
        return connection.info.server_version // 10000


def requires(dsn: Dsn, major: int) -> None:
    """Skip a test of what an older server doesn't know."""
    if version(dsn) < major:
        pytest.skip(f"it came with PostgreSQL {major}")


@contextmanager
def as_gateway(dsn: Dsn, *, autocommit: bool = False, **parameters: Any) -> Iterator[Connection]:
    """A session with the search path that the server gives it, and not ours."""
    with connect(dsn, autocommit=True, **parameters) as connection:
        connection.execute("reset search_path")
        connection.autocommit = autocommit
        yield connection


def ask(dsn: Dsn, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of a query, committed, as the gateway or an operator asks it."""
    with as_gateway(dsn) as connection:
        cursor = connection.execute(query.encode(), values or None)
        return cursor.fetchall() if cursor.description else []
