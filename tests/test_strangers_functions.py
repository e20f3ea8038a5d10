"""Whoever may create in `public` gets nothing of those who may more, whatever they run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from migrations.roles import granting, revoking
from omniledger import revisions
from omniledger.database import Dsn, connect
from omniledger.errors import NotReadyError
from omniledger.roles import RUNNER
from omniledger.turns import turn
from tests.conftest import Server, ask
from tests.migrations.operator import omniledger
from tests.models.test_roles import member

PLANTED = """
create function public.seize() returns void language plpgsql as $$
begin
    if (select rolsuper from pg_roles where rolname = current_user) then
        alter role {attacker} superuser;
    end if;
end
$$;
create function public.format(text, text) returns text language plpgsql as $$
begin perform public.seize(); return pg_catalog.format($1, variadic array[$2]); end $$;
create function public.format(text, name) returns text language plpgsql as $$
begin perform public.seize(); return pg_catalog.format($1, variadic array[$2::text]); end $$;
create function public.format(text, text, text) returns text language plpgsql as $$
begin perform public.seize(); return pg_catalog.format($1, variadic array[$2, $3]); end $$;
create function public.quote_ident(name) returns text language plpgsql as $$
begin perform public.seize(); return pg_catalog.quote_ident($1::text); end $$;
create function public.unnest(text[]) returns setof text language plpgsql as $$
begin perform public.seize(); return query select pg_catalog.unnest($1); end $$;
create function public.joined(text[], text[]) returns text[] language plpgsql as $$
begin perform public.seize(); return array_cat($1, $2); end $$;
create operator public.|| (leftarg = text[], rightarg = text[], function = public.joined)
"""
"""Each fits what is called better than the server's own, whose arguments are of any type."""


@dataclass
class Attacked:
    """A gateway's database, and a login that could create in its `public`."""

    dsn: Dsn
    attacker: Dsn

    def assert_nothing_seized(self) -> None:
        query = "select rolsuper from pg_roles where rolname = %s"
        assert ask(self.dsn, query, self.attacker.user) == [(False,)]


@pytest.fixture
def attacked(server: Server) -> Iterator[Attacked]:
    dsn = server.state("investigation")
    ask(dsn, "grant create on schema public to public")
    with member(dsn, None) as attacker:
        ask(attacker, PLANTED.replace("{attacker}", attacker.user))
        yield Attacked(dsn, attacker)


def test_the_planted_functions_are_what_a_careless_session_calls(attacked: Attacked) -> None:
    """Or the tests below would say nothing."""
    ask(attacked.dsn, "select format('%%I', 'a'::text)")
    with pytest.raises(AssertionError):
        attacked.assert_nothing_seized()


def test_roles_by_psql_upgrade_and_inspection_call_nothing_of_a_stranger(
    attacked: Attacked,
) -> None:
    revisions.upgrade(attacked.dsn)
    attacked.assert_nothing_seized()
    for text in (granting("public"), granting("public"), revoking("public")):
        with psycopg.connect(attacked.dsn.conninfo(), autocommit=True) as psql:
            psql.execute(text.encode())
            # What follows in the same file finds what it always found.
            assert psql.execute("show search_path").fetchone() == ('"$user", public',)
        attacked.assert_nothing_seized()
    assert omniledger(attacked.dsn, "inspect").code in (0, 1)
    attacked.assert_nothing_seized()
    revisions.downgrade(attacked.dsn, "base")
    attacked.assert_nothing_seized()


def test_what_an_upgrade_would_do_calls_nothing_either_when_psql_runs_it(
    attacked: Attacked,
) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head", "--sql"],
        env={**os.environ, "DATABASE_URL": attacked.dsn.url()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.startswith("set search_path = pg_catalog, pg_temp")


@pytest.mark.slow
def test_a_run_calls_nothing_of_a_stranger(attacked: Attacked, tmp_path: Path) -> None:
    revisions.upgrade(attacked.dsn)
    done = subprocess.run(
        [sys.executable, "-m", "omniledger", "run"],
        env={
            **os.environ,
            "DATABASE_URL": attacked.dsn.url(),
            "OMNILEDGER_HOME": str(tmp_path / "home"),
            "OMNILEDGER_SITE_DIR": str(tmp_path / "site"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    attacked.assert_nothing_seized()


def test_what_the_address_says_of_the_search_path_holds(server: Server) -> None:
    """As a gateway needs it whose own triggers name tables without a schema."""
    dsn = server.state("empty")
    with connect(dsn) as connection:
        assert connection.execute("show search_path").fetchone() == ("pg_catalog, pg_temp",)
    with connect(dsn, options="-c search_path=public") as connection:
        assert connection.execute("show search_path").fetchone() == ("public",)


def test_a_superuser_neither_works_on_the_marts_of_others_nor_reads_them(
    server: Server, tmp_path: Path
) -> None:
    """A trigger on a mart, or a view in its place, would act with all rights."""
    dsn = server.state("investigation:upgraded")
    with turn(dsn):
        pass
    with member(dsn, RUNNER) as runner:
        with (
            pytest.raises(NotReadyError, match=f"is a superuser, and {runner.user} may"),
            turn(dsn),
        ):
            pass
        read = ("site build", f"export focus {tmp_path}/focus.csv", "alerts look")
        for command in ("run", "publish", "schedule", *read):
            refused = omniledger(dsn, *command.split(), OMNILEDGER_SITE_DIR=str(tmp_path))
            assert (refused.code, f"as {runner.user} is" in refused.refusal) == (4, True), command
        assert list(tmp_path.iterdir()) == []
        doctor = omniledger(dsn, "doctor", "--json")
        assert doctor.code == 1
        assert [p for p in doctor.document()["problems"] if "is a superuser" in p]
        with turn(runner):
            pass
        assert omniledger(runner, "doctor", "--json").document()["problems"] == []
        # Whose tables an upgrade works on is trusted already.
        ask(dsn, f"alter table omni2.audit_logs owner to {runner.user}")
        with turn(dsn):
            pass
        ask(dsn, "alter table omni2.audit_logs owner to current_user")
