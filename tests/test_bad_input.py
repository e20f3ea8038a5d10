"""What an operator may point it at by mistake: one sentence, the right exit code, no trace."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest
from prefect.client.schemas.objects import State, StateType

from flows.environment import prepare
from flows.retrying import may_pass
from flows.serve import is_overdue
from omniledger import modelling
from omniledger.database import Dsn, connect, session
from omniledger.errors import (
    DatabaseError,
    GateRefused,
    LocalError,
    NotReadyError,
    OmniledgerError,
    PassingError,
    StepFailed,
)
from omniledger.explaining import explained
from omniledger.marts import is_built_later_than_now
from omniledger.ports import free_port
from omniledger.scheduling.prefect_server import PrefectServer
from omniledger.scheduling.times import Plan
from omniledger.settings import Settings
from tests.conftest import Server, ask
from tests.migrations.operator import _settings, omniledger
from tests.test_cli import refusal, run


@pytest.mark.slow
def test_of_a_model_that_fails_the_sentence_names_a_log_that_tells_more(
    server: Server, tmp_path: Path
) -> None:
    dsn = server.state("investigation:upgraded")
    ask(dsn, "alter table ledger.model_prices rename column output to outputs")
    with pytest.raises(
        StepFailed, match=r"model stg_model_prices failed: Database Error.*output"
    ) as failed:
        modelling.build(dsn, Settings(home=tmp_path))
    log = tmp_path / "dbt" / "logs" / "dbt.log"
    assert str(failed.value).endswith(f"dbt's log is {log}.")
    assert "Failure in model stg_model_prices" in log.read_text()


@pytest.mark.parametrize("state", ["investigation", "investigation:upgraded"])
def test_a_database_that_takes_no_writes_is_one_sentence(server: Server, state: str) -> None:
    dsn = server.state(state)
    url = replace(dsn, options=(("options", "-c default_transaction_read_only=on"),)).url()
    before = ask(dsn, "select count(*) from pg_class")
    if state == "investigation":
        said = refusal(run("upgrade", "head", database=url, program="alembic"), 4)
    else:
        said = refusal(run("schedule", database=url), 4)
    assert "takes no writes" in said and "DATABASE_URL" in said
    assert ask(dsn, "select count(*) from pg_class") == before


def test_a_role_without_a_connection_left_is_told_how_many_are_needed(
    server: Server, tmp_path: Path
) -> None:
    dsn = server.state("investigation:upgraded")
    role = f"limited_{next(server.numbers)}"
    ask(dsn, f"create role {role} login password 'x' connection limit 1 in role {dsn.user}")
    limited = replace(dsn, user=role, password="x")  # noqa: S106 (of a role that ends here)
    try:
        # The catalog is compared on a second connection.
        said = refusal(run("inspect", database=limited.url()), 3)
        assert "too many connections" in said and "an upgrade takes four and one for each" in said
        with pytest.raises(PassingError, match=r"model \w+ failed.*too many connections"):
            modelling.build(limited, Settings(home=tmp_path))
    finally:
        ask(dsn, f"drop owned by {role}; drop role {role}")


class OldServer(BaseHTTPRequestHandler):
    """A Prefect server of another time, as far as we ask it; at first its database is busy."""

    busy = True

    def do_GET(self) -> None:
        if OldServer.busy:
            OldServer.busy = False
            self.send_error(503)
            return
        self.send_response(200)
        self.end_headers()
        is_version = self.path.endswith("/version")
        self.wfile.write(json.dumps("2.20.4" if is_version else True).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def old_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OldServer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


def test_a_prefect_server_that_is_away_or_old_is_one_sentence(
    server: Server, old_server: str, tmp_path: Path
) -> None:
    dsn = server.state("investigation:upgraded")
    home = {"OMNILEDGER_HOME": str(tmp_path)}
    for command in ("run", "schedule"):
        done = run(command, database=dsn.url(), PREFECT_API_URL=old_server, **home)
        assert "is version 2.20.4, and omniledger needs 3" in refusal(done, 8)
    away = f"http://127.0.0.1:{free_port()}/api"
    done = run("run", database=dsn.url(), PREFECT_API_URL=away, **home)
    assert "No Prefect server answers at PREFECT_API_URL" in refusal(done, 8)
    said = omniledger(dsn, "doctor", "--json", PREFECT_API_URL=old_server, **home)
    assert (said.code, "2.20.4" in said.document()["problems"][0]) == (1, True)
    assert ask(dsn, "select count(*) from ledger.runs") == [(0,)]


def test_a_home_that_is_no_folder_is_one_sentence(server: Server, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file")
    url = server.state("investigation:upgraded").url()
    assert str(home) in refusal(run("run", database=url, OMNILEDGER_HOME=str(home)), 8)


@pytest.mark.parametrize(
    ("command", "name"), [("run", "server.log"), ("schedule", "schedule.lock")]
)
def test_a_home_whose_files_can_not_be_written_is_one_sentence(
    server: Server, tmp_path: Path, command: str, name: str
) -> None:
    """As one that has become read-only since; root may write to whatever is writable."""
    dsn = server.state("investigation:upgraded")
    (tmp_path / "prefect" / name).mkdir(parents=True)
    home = {"OMNILEDGER_HOME": str(tmp_path)}
    said = refusal(run(command, database=dsn.url(), **home), 8)
    assert f"{name} can't be written: " in said and "set OMNILEDGER_HOME" in said
    assert omniledger(dsn, "schedule", "--status", **home).code == 1
    assert omniledger(dsn, "doctor", **home).code == 0


@pytest.mark.slow
def test_the_log_says_why_the_server_of_prefect_did_not_come_up(
    tmp_path: Path,
) -> None:
    with patch.dict(os.environ):
        os.environ.pop("PREFECT_HOME", None)
        prepare(Settings(home=tmp_path))
        (tmp_path / "prefect" / "prefect.db").write_bytes(b"no database" * 10_000)
        server = PrefectServer(tmp_path / "prefect" / "server.log", free_port(), schedules=False)
    server.start()
    with pytest.raises(LocalError, match=r"did not come up; .*server.log says why"):
        server.wait()
    server.stop()
    assert "file is not a database" in server.log.read_text()


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (PassingError("The connection was lost."), True),
        (DatabaseError("The password is wrong."), False),
        (GateRefused("A sum is wrong."), False),
        (StepFailed("A model failed."), False),
        (ValueError("unforeseen"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, again: bool) -> None:
    failed: State[None] = State(type=StateType.FAILED, data=error)
    # In a thread of its own, as in a run: a browser's tests leave their event loop in this one, and
    # Prefect answers otherwise where one is at work.
    with ThreadPoolExecutor(1) as alone:
        assert alone.submit(may_pass, None, None, failed).result() is again


@pytest.mark.parametrize(
    ("kind", "passes"),
    [
        (psycopg.errors.SerializationFailure, True),
        (psycopg.errors.DeadlockDetected, True),
        (psycopg.errors.LockNotAvailable, True),
        (psycopg.errors.AdminShutdown, True),
        (psycopg.errors.DiskFull, False),
        (psycopg.errors.InvalidPassword, False),
        (psycopg.errors.UndefinedTable, False),
        (psycopg.errors.QueryCanceled, False),
    ],
)
def test_what_passes_of_what_postgresql_says(kind: type[psycopg.Error], passes: bool) -> None:
    said = kind("password authentication failed" if "Password" in kind.__name__ else "said")
    assert isinstance(explained(said, Dsn("host", 1, "db", "me")), PassingError) is passes


def test_a_value_too_long_is_a_refused_step_and_no_sick_server() -> None:
    said = psycopg.errors.ProgramLimitExceeded("index row requires 9616 bytes")
    error = explained(said, Dsn("host", 1, "db", "me"))
    assert isinstance(error, NotReadyError)
    assert str(error).startswith("The database refused a step: index row requires 9616 bytes;")


@pytest.mark.parametrize(
    "command",
    [
        "gate explain",
        "publish --force --why enough",
        "prices list",
        "prices set a-model --input 1 --output 1",
        "prices explain a-model",
        "models set a-model --from 2026-01-01",
        "models list",
        "alerts list",
        "alerts look",
    ],
)
def test_a_database_without_a_ledger_is_told_to_upgrade(server: Server, command: str) -> None:
    said = omniledger(server.state("gateway"), *command.split())
    assert said.code == 4
    assert "isn't upgraded to this omniledger" in said.refusal
    assert said.refusal.endswith("; run `alembic upgrade head` first.")


@pytest.fixture
def foreign(server: Server) -> Iterator[Dsn]:
    """A database whose foreign tables `away` and `refusing` are on servers that don't let us in."""
    dsn = server.state("gateway")
    ask(dsn, "create extension postgres_fdw")
    for name, options in (
        ("away", {"host": "127.0.0.1", "port": str(free_port()), "dbname": "elsewhere"}),
        ("refusing", {"host": dsn.host, "port": str(dsn.port), "dbname": dsn.dbname}),
    ):
        told = ", ".join(f"{option} '{value}'" for option, value in options.items())
        ask(
            dsn,
            f"create server {name} foreign data wrapper postgres_fdw options ({told});"
            f"create user mapping for current_user server {name}"
            f" options (user '{dsn.user}', password 'tell-nobody-4711');"
            f"create foreign table {name} (id integer, email text) server {name}",
        )
    yield dsn


def refused(dsn: Dsn, query: str) -> str:
    """The sentence for a query that another server didn't answer, and its kind."""
    with pytest.raises(OmniledgerError) as error, session(dsn) as connection:
        connection.execute(query.encode())
    assert "tell-nobody-4711" not in str(error.value)
    return f"{type(error.value).__name__}: {error.value}"


def test_a_foreign_tables_server_that_is_away_is_not_taken_for_the_database(foreign: Dsn) -> None:
    said = refused(foreign, "select * from public.away")
    assert said.startswith(
        f"PassingError: {foreign.safe()} answers, but can't reach the server of a foreign table: "
        'could not connect to server "away": '
    )
    assert "Connection refused; start that server, or look at the options" in said


def test_a_foreign_tables_server_that_refuses_the_login_says_so(foreign: Dsn) -> None:
    said = refused(foreign, "select * from public.refusing")
    assert said.startswith(f"DatabaseError: {foreign.safe()} answers, but can't reach the server")
    assert f'password authentication failed for user "{foreign.user}"; start that server' in said


def test_what_a_foreign_tables_server_answers_is_called_its_own(foreign: Dsn) -> None:
    ask(
        foreign,
        "create foreign table nowhere (id integer) server refusing options (table_name 'gone');"
        f"alter user mapping for current_user server refusing options (set password"
        f" '{foreign.password}')",
    )
    said = refused(foreign, "select * from public.nowhere")
    assert said.startswith(
        f"NotReadyError: The server of a foreign table that {foreign.safe()} reads refused: "
        'relation "public.gone" does not exist; mend that there'
    )


@pytest.mark.parametrize(("state", "passes"), [("HV00N", True), ("08006", True), ("HV005", False)])
def test_what_any_wrapper_says_is_told_of_its_server(
    server: Server, state: str, passes: bool
) -> None:
    dsn = server.state("empty")
    said = refused(
        dsn, f"do $$ begin raise exception 'it is away' using errcode = '{state}'; end $$"
    )
    assert said.startswith("PassingError" if passes else "NotReadyError")
    assert "the server of a foreign table" in said.lower() and "it is away; " in said


def test_an_inspection_tells_all_but_what_a_foreign_table_keeps(foreign: Dsn) -> None:
    ask(
        foreign,
        "drop table public.users cascade;"
        "alter foreign table away rename to users;"
        "insert into public.audit_logs (user_id, message) values (1, 'q')",
    )
    document = omniledger(foreign, "inspect", "--json").document()
    findings = {one["question"]: one for one in document["findings"]}
    people = findings["Is everybody known to the gateway?"]
    assert people["state"] == "cannot tell"
    assert people["evidence"].startswith('could not connect to server "away": ')
    assert "this database is well" in people["meaning"]
    assert findings["What is in omni2.audit_logs?"]["state"] == "drift"


def test_a_server_that_lets_nobody_in_from_here_is_no_matter_of_waiting() -> None:
    said = psycopg.OperationalError(
        'connection failed: FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "me", '
        'database "db", no encryption'
    )
    error = explained(said, Dsn("host", 1, "db", "me"))
    assert error is not None and not isinstance(error, PassingError)
    assert "pg_hba.conf has no line for this user" in str(error)


def test_a_run_that_a_jumping_clock_put_into_the_future_is_made_up_for(server: Server) -> None:
    dsn = server.state("investigation:upgraded")
    plan = Plan(None, "1d", "UTC")
    with _settings(dsn):
        assert is_overdue(plan)
        ask(dsn, "insert into ledger.runs (run_id) values (gen_random_uuid())")
        assert not is_overdue(plan)
        ask(dsn, "update ledger.runs set started_at = now() + interval '1 year'")
        assert is_overdue(plan)


def test_what_was_built_by_a_clock_that_was_ahead_is_built_anew(server: Server) -> None:
    dsn = server.state("investigation:upgraded")
    ask(
        dsn,
        "create table analytics_build.fct_daily_usage as select now() as built_at",
    )
    with connect(dsn) as connection:
        assert not is_built_later_than_now(connection)
        connection.execute(
            "insert into analytics_build.fct_daily_usage select now() + interval '1 hour'"
        )
        assert is_built_later_than_now(connection)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "insert into public.users (id) values (7), (7)",
            r"\(Key \(id\)=\(7\) already exists\); mend",
        ),
        ("alter table public.users add check (id < 0)", r"violated by some row; mend that"),
        (
            "alter table public.users add constraint c check (name <> 'secret') not valid;"
            " insert into public.users (name) values ('secret')",
            r'violates check constraint "c"; mend that',
        ),
    ],
)
def test_a_refused_row_is_told_by_its_key_and_not_whole(
    server: Server, statement: str, said: str
) -> None:
    dsn = server.state("gateway")
    ask(dsn, "insert into public.users (id) values (1)")
    with pytest.raises(psycopg.Error) as refused:
        ask(dsn, statement)
    explanation = explained(refused.value, dsn)
    assert explanation is not None
    assert re.search(said, str(explanation))
