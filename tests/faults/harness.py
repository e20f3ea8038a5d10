"""An upgrade in a process of its own, places to stop it at, and three ways to kill it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from migrations.waiting import MIGRATING
from omniledger.database import Connection, Dsn, connect
from omniledger.embedded import EmbeddedServer
from omniledger.ports import free_port
from omniledger.settings import PROJECT_DIR
from tests.conftest import Server, as_gateway, ask

WAIT_SECONDS = 120
"""How long anything may take before a test gives up, s; nothing sleeps for as long."""


def wait_until(what: str, is_so: Callable[[], bool]) -> None:
    """Ask again and again, and fail with what was waited for."""
    give_up = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < give_up, f"waited {WAIT_SECONDS} s for {what}"
        time.sleep(0.002)


@dataclass
class Upgrade:
    """The real command, alone in its process group; what it says goes to a file."""

    process: subprocess.Popen[bytes]
    output: Path

    @classmethod
    def start(cls, dsn: Dsn, output: Path, **settings: str) -> Upgrade:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OMNILEDGER_")}
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "alembic", "upgrade", "head"],
                cwd=PROJECT_DIR,
                env=environment | settings | {"DATABASE_URL": dsn.url()},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, output)

    def said(self) -> str:
        return self.output.read_text()

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def end(self) -> int:
        """Its exit code, once it has one."""
        return self.process.wait(WAIT_SECONDS)

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def sentence(self) -> str:
        """The one sentence with which it refused."""
        said = self.said()
        assert "Traceback" not in said, said
        *_, last = said.strip().splitlines()
        assert last.startswith("omniledger: "), said
        return last.removeprefix("omniledger: ")


class CrashServer:
    """A server whose promises are kept through a crash: nothing about durability is switched off.

    It has a port of its own, so that clients find it again after a restart.
    """

    def __init__(self, root: Path) -> None:
        self._embedded = EmbeddedServer(root, options={"port": str(free_port())})
        endpoint = self._embedded.keep()
        self.server = Server(
            Dsn(endpoint.host, endpoint.port, endpoint.dbname, endpoint.user, endpoint.password)
        )

    def crash(self) -> None:
        """What `pg_ctl -m immediate` does: end at once, without a checkpoint; then start again."""
        pid = self._embedded.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        wait_until("the server's end", lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))
        self._embedded.keep()

    def stop(self) -> None:
        self._embedded.stop()


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# A barrier is a trigger that waits for an advisory lock while its step is armed.
_BARRIERS = """
create schema if not exists faults;
create table if not exists faults.armed (step text primary key);
create or replace function faults.wait() returns trigger language plpgsql security definer as $$
begin
    if exists (select from faults.armed where step = tg_argv[0]) then
        perform pg_advisory_xact_lock_shared(4711);
    end if;
    return new;
end
$$;
"""

_PLACES = {
    "match": "before insert on ledger.audit_matches for each statement",
    "copy": "after insert on omni2.audit_logs for each row"
    " when (new.source_system = 'legacy' and new.legacy_id = 7001)",
    "apply changes": "before delete on ledger.audit_merge_changes for each statement",
    "cut over": "before update on ledger.merge_runs for each row"
    " when (old.cutover_xid is null and new.cutover_xid is not null)",
    "certify": "before update on ledger.merge_runs for each row"
    " when (old.finished_at is null and new.finished_at is not null)",
}
"""Where each step of the merge is stopped; "certify" comes after the cut over is committed."""

STEPS = ("add columns", "build indexes", *_PLACES)


@dataclass
class Stage:
    """One database, its upgrade, and the hand that stops it at a step."""

    crash_server: CrashServer
    dsn: Dsn
    folder: Path
    kills: list[str] = field(default_factory=list)

    def start(self) -> Upgrade:
        return Upgrade.start(self.dsn, self.folder / f"upgrade-{len(self.kills)}.log")

    def kill_at(self, step: str, way: str) -> None:
        """Run the upgrade up to a step, and kill it there.

        Args:
            step: one of `STEPS`.
            way: `process`, `backend` or `server`.
        """
        with self._stopped_at(step) as upgrade:
            self._kill(upgrade, way)
        self.kills.append(f"{way} at {step}")

    def kill_after(self, seconds: float, way: str) -> bool:
        """Run the upgrade and kill it at that moment; False if it was done by then."""
        upgrade = self.start()
        try:
            assert upgrade.process.wait(seconds) == 0, upgrade.said()
            return False
        except subprocess.TimeoutExpired:
            self._kill(upgrade, way)
        self.kills.append(f"{way} after {seconds:.2f} s")
        return True

    def _kill(self, upgrade: Upgrade, way: str) -> None:
        if way == "process":
            upgrade.kill()
            return
        if way == "backend":
            ask(
                self.dsn,
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name = %s",
                MIGRATING,
            )
        else:
            self.crash_server.crash()
        # One that had no session yet when it was to lose it, or none any more, is done.
        if upgrade.end() != 0:
            upgrade.sentence()

    @contextmanager
    def _stopped_at(self, step: str) -> Iterator[Upgrade]:
        with self._hand() as hand:
            self._arm(hand, step)
            upgrade = self.start()
            wait_until(
                f"the step {step!r}; {upgrade.output} says how far it is",
                lambda: self._is_at(step) or upgrade.is_over(),
            )
            assert not upgrade.is_over(), f"never at {step!r}: {upgrade.said()}"
            yield upgrade
        if step in _PLACES:
            ask(self.dsn, "delete from faults.armed")

    @contextmanager
    def _hand(self) -> Iterator[Connection]:
        """A session that holds what the upgrade is to wait for; a crash may take it away."""
        hand = connect(self.dsn, autocommit=True, application_name="the fault harness")
        try:
            yield hand
        finally:
            hand.close()

    def _arm(self, hand: Connection, step: str) -> None:
        if step == "add columns":
            hand.execute("begin; lock table omni2.audit_logs in access share mode")
        elif step == "build indexes":
            # A concurrent build waits for every transaction that has a snapshot.
            hand.execute("begin isolation level repeatable read; select count(*) from pg_class")
        elif step in _PLACES:
            hand.execute(_BARRIERS)
            for name, place in _PLACES.items():
                trigger, table = f"fault_{name.replace(' ', '_')}", place.split()[3]
                hand.execute(
                    f"drop trigger if exists {trigger} on {table};"
                    f" create trigger {trigger} {place}"
                    f" execute function faults.wait('{name}')".encode()
                )
            hand.execute("insert into faults.armed values (%s)", (step,))
            hand.execute("select pg_advisory_lock(4711)")

    def _is_at(self, step: str) -> bool:
        if step in _PLACES:
            query = "select count(*) > 0 from pg_locks where locktype = 'advisory' and not granted"
        elif step == "build indexes":
            query = (
                "select count(*) > 0 from pg_stat_progress_create_index where phase like 'waiting%'"
            )
        else:
            query = (
                "select count(*) > 0 from pg_locks"
                " where relation = 'omni2.audit_logs'::regclass and not granted"
            )
        # Not through the hand: an open transaction of its own is what a build waits for.
        return bool(ask(self.dsn, query)[0][0])


def broken_promises(dsn: Dsn, history: int) -> list[str]:
    """What an upgrade that was killed again and again must not leave."""
    sums = f"({history}, {history}, {history * (history + 1) // 2})"
    checks = {
        "the certificate holds": "select holds from ledger.merge_runs order by id desc limit 1",
        "no index is invalid": "select count(*) = 0 from pg_index where not indisvalid",
        "nothing watches any more": """
            select count(*) = 0 from pg_trigger where tgname like 'omniledger_watch%'
        """,
        "no session is left at work": f"""
            select count(*) = 0 from pg_stat_activity
            where application_name = '{MIGRATING}' and datname = current_database()
        """,
        "the old rows are there once, with their values": f"""
            select (count(*), count(distinct id), sum(tokens_input)) = {sums}
            from audit_logs where message like 'old %'
        """,
        "each old id is the one that it was": """
            select bool_and(message = 'old ' || tokens_input and id = 1000 + tokens_input)
            from audit_logs where message like 'old %'
        """,
        "what both logged is there once": f"""
            select count(*) = {history} + 1 from omni2.audit_logs
            where question like 'old %' or question = 'only the gateway'
        """,
    }
    with as_gateway(dsn) as connection:
        return [
            f"not so: {what}"
            for what, query in checks.items()
            if connection.execute(query.encode()).fetchone() != (True,)
        ]


def fill(dsn: Dsn, history: int) -> None:
    """Old rows, of which the gateway logged every tenth too."""
    ask(
        dsn,
        "insert into public.audit_logs"
        " (id, user_id, message, tokens_input, tokens_output, created_at)"
        " select 1000 + i, 2, 'old ' || i, i, 1, now() - i * interval '1 minute'"
        " from generate_series(1, %s) as i",
        history,
    )
    ask(dsn, "select setval('public.audit_logs_id_seq', 1000 + %s)", history)
    ask(
        dsn,
        "insert into omni2.audit_logs (user_id, question, success, timestamp)"
        " select 3, message, true, created_at from public.audit_logs"
        " where message like 'old %' and id % 10 = 0"
        " union all select 3, 'only the gateway', true, now()",
    )
    # A table as large as this is known to its planner by the time anybody upgrades it.
    ask(dsn, "analyze")


def seeded(seed: int) -> random.Random:
    """The chances of one round."""
    return random.Random(f"faults {seed}")
