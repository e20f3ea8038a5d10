"""Whatever would refuse, change or hide rows of the old name since the upgrade is named."""

from __future__ import annotations

import pytest

from omniledger import revisions
from omniledger.database import Dsn
from tests.conftest import Server, ask
from tests.migrations.operator import omniledger

# The role is one that each server has.
ARMED = """
alter table public.audit_logs add uid text unique;
create table public.fb (id serial primary key, log_id integer references public.audit_logs (id));
insert into public.fb (log_id) values (102);
create function public.h() returns trigger language plpgsql as 'begin return new; end';
create trigger h before insert on public.audit_logs for each row execute function public.h();
grant insert, select (message), update on public.audit_logs to pg_monitor;
grant usage on sequence public.audit_logs_id_seq to pg_monitor
"""

ODD_FUNCTION = "create function public.f() returns trigger language plpgsql as 'begin end'"

HARM = {
    "drop trigger h on ledger.trigger_h": "The trigger h of ledger.trigger_h is missing since the",
    "alter table omni2.audit_logs add constraint x check (tokens_input > 0) not valid": "its check"
    " x would bind the rows of the old name: drop it, or make it of the gateway's rows alone",
    "create unique index once on omni2.audit_logs (slack_message_ts)": "its unique index once",
    "create index i on omni2.audit_logs (question)": "its index i has no room for the long values",
    f"{ODD_FUNCTION}; create trigger t before insert on omni2.audit_logs for each row"
    " execute function public.f()": "its trigger t would change or refuse",
    "create rule r as on insert to omni2.audit_logs do also notify written": "The rule r of"
    " omni2.audit_logs is new",
    "revoke usage on sequence omni2.audit_logs_id_seq from pg_monitor": "pg_monitor may write"
    " public.audit_logs, and not draw its ids: grant usage on sequence omni2.audit_logs_id_seq to"
    " pg_monitor.",
    "revoke usage on sequence public.audit_logs_id_seq from pg_monitor": "not draw its ids: grant"
    ' usage on sequence "public"."audit_logs_id_seq" to pg_monitor.',
    "revoke insert on audit_logs from pg_monitor": "pg_monitor had INSERT on public.audit_logs and"
    " has it no more: grant insert on",
    "revoke select (message) on audit_logs from pg_monitor": "pg_monitor had SELECT (message) on",
    "alter sequence audit_logs_id_seq maxvalue 125": "The sequence public.audit_logs_id_seq is"
    " changed since the last upgrade",
    "alter sequence omni2.audit_logs_id_seq increment by -1": "omni2.audit_logs_id_seq is changed",
    "alter table omni2.audit_logs drop constraint omniledger_audit_logs_user_id_fkey": "The"
    " reference omniledger_audit_logs_user_id_fkey of omni2.audit_logs is missing",
    "alter table fb drop constraint fb_log_id_fkey": "The reference fb_log_id_fkey of public.fb is",
    "alter table omni2.audit_logs enable row level security, force row level security": "omni2"
    ".audit_logs has row level security that is for its owner, too",
    "alter view audit_logs reset (check_option)": "The view public.audit_logs is changed",
}


@pytest.fixture
def armed(server: Server) -> Dsn:
    """A merged database with all that an old table can have beside its rows."""
    name = "investigation:armed"
    if name not in server.templates:
        dsn = server.state("investigation")
        ask(dsn, ARMED)
        revisions.upgrade(dsn)
        server.templates[name] = dsn
    return server.state(name)


@pytest.mark.parametrize("harm", HARM)
def test_harm_to_what_is_written_is_noticed(armed: Dsn, harm: str) -> None:
    ask(armed, harm)
    done = omniledger(armed, "merge", "verify", "--json")
    said = done.document()["damage"]
    assert [HARM[harm] in sentence for sentence in said] == [True], said
    assert done.code == 9


HARMLESS = (
    "select 1",
    "create unique index once on omni2.audit_logs (slack_message_ts) where legacy_id is not null",
    "create unique index once on omni2.audit_logs (error_id)",
    "create index on omni2.audit_logs (md5(question)); create index on omni2.audit_logs (question)"
    " where legacy_id is null",
    "alter table omni2.audit_logs add check (legacy_id is not null or duration_ms >= 0)",
    f"{ODD_FUNCTION}; create trigger t before insert on omni2.audit_logs for each row"
    " when (new.legacy_id is null) execute function public.f()",
    "alter sequence audit_logs_id_seq as bigint maxvalue 9000000000000 cache 10",
    "alter table omni2.audit_logs enable row level security",
    "drop table fb",
    "revoke all on audit_logs from pg_monitor;"
    " revoke all on ledger.audit_logs_legacy from pg_monitor",
)


@pytest.mark.parametrize("change", HARMLESS)
def test_what_harms_no_row_of_the_old_name_is_no_damage(armed: Dsn, change: str) -> None:
    ask(armed, change)
    assert omniledger(armed, "merge", "verify", "--json").document()["damage"] == []
