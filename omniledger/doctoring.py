"""What would be used and where it comes from: versions, settings, database, Prefect; no secret.

It starts nothing: an embedded server that sleeps is said to sleep.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

import click
from pydantic import SecretStr

from omniledger import revisions, versions
from omniledger.alerts.channels import require_known
from omniledger.analytics.link import is_attached, is_copy
from omniledger.database import Connection, Dsn, connect
from omniledger.documents import print_document
from omniledger.embedded import EmbeddedServer
from omniledger.errors import OmniledgerError
from omniledger.masking import masked
from omniledger.roles import require_no_superuser
from omniledger.scheduling.prefect_server import problem_of
from omniledger.scheduling.status import is_kept
from omniledger.settings import Settings, get_settings


@dataclass(frozen=True)
class Setting:
    """One setting: its variable, its value as people may see it, and where that is from."""

    variable: str
    value: str
    source: str
    description: str


@dataclass(frozen=True)
class Place:
    """A database or a Prefect server: what it is, where, and what is wrong with it, or ""."""

    kind: str
    where: str
    state: str
    problem: str = ""


def examine(as_json: bool) -> int:
    """Print what would be used; 1 where something of it is wrong, else 0.

    Raises:
        SettingsError: a setting is wrong; the sentence names it.
    """
    settings = get_settings()
    found = document(settings)
    if as_json:
        print_document(found)
    else:
        _show(found)
    return 1 if found["problems"] else 0


def document(settings: Settings) -> dict[str, Any]:
    """All of it, for programs."""
    database, scheduler = _database(settings), _prefect(settings)
    problems = [database.problem, scheduler.problem, _problem_of_alerts(settings)]
    return {
        "versions": versions.installed(),
        "settings": [asdict(setting) for setting in _settings(settings)],
        "database": asdict(database),
        "prefect": asdict(scheduler),
        "problems": [problem for problem in problems if problem],
    }


def _settings(settings: Settings) -> list[Setting]:
    found = []
    for name, field in type(settings).model_fields.items():
        variable = str(field.validation_alias or f"OMNILEDGER_{name.upper()}")
        is_given = bool(os.environ.get(variable))
        value = _shown(getattr(settings, name))
        source = "environment" if is_given else "default"
        found.append(Setting(variable, value, source, field.description or ""))
    return found


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        try:
            return Dsn.parse(text).safe()
        except OmniledgerError:
            return "(no address of a database)"
    if isinstance(value, tuple):
        return " ".join(
            _channel(one.get_secret_value()) if isinstance(one, SecretStr) else str(one)
            for one in value
        )
    return "" if value is None else masked(str(value))


def _channel(address: str) -> str:
    """A channel's address, a secret as a whole but for its kind; a part of a password has none."""
    kind, is_address, _ = address.partition("://")
    return f"{kind}://***" if is_address else "***"


def _database(settings: Settings) -> Place:
    if settings.database_url is None:
        return _embedded(settings)
    dsn = Dsn.parse(settings.database_url.get_secret_value())
    return _reached("DATABASE_URL", dsn)


def _reached(kind: str, dsn: Dsn) -> Place:
    try:
        with connect(dsn, autocommit=True) as connection:
            version = connection.info.parameter_status("server_version") or "unknown"
            at = _revision(connection)
            kind_of_copy = _copied(connection)
            problem = _problem_of_login(connection)
    except OmniledgerError as error:
        return Place(kind, dsn.safe(), "it can't be used", str(error))
    state = f"PostgreSQL {version}, {at} (newest {revisions.head()}){kind_of_copy}"
    return Place(kind, dsn.safe(), state, problem)


def _copied(connection: Connection) -> str:
    if is_attached(connection):
        return ", a copy of its source"
    return ", a copy whose source was detached" if is_copy(connection) else ""


def _problem_of_login(connection: Connection) -> str:
    try:
        require_no_superuser(connection)
    except OmniledgerError as error:
        return str(error)
    return ""


def _revision(connection: Any) -> str:
    import psycopg

    try:
        return f"revision {revisions.current(connection) or 'none'}"
    except psycopg.errors.InsufficientPrivilege:
        return "a revision that its user may not see"


def _embedded(settings: Settings) -> Place:
    root = settings.home / "postgres"
    if not root.exists():
        return Place("embedded", str(root), "not made yet; the first command makes it")
    status = EmbeddedServer(root).status()
    if not status.running:
        state = f"PostgreSQL {status.version}, asleep; the next command starts it"
        return Place("embedded", str(root), state)
    kept = "kept up" if status.kept else "up while it is used"
    return Place(
        "embedded", str(root), f"PostgreSQL {status.version} on port {status.port}, {kept}"
    )


def _prefect(settings: Settings) -> Place:
    folder = settings.home / "prefect"
    kept = is_kept(settings)
    schedule = "a schedule is kept from this folder" if kept else "no schedule is kept"
    given = os.environ.get("PREFECT_API_URL")
    if given:
        where = masked(given)
        if (problem := problem_of(given)) is None:
            return Place("PREFECT_API_URL", where, f"it answers; {schedule}")
        return Place("PREFECT_API_URL", where, f"it can't be used; {schedule}", problem)
    return Place("own", str(folder), f"started when it is needed; {schedule}")


def _problem_of_alerts(settings: Settings) -> str:
    try:
        require_known(settings.alerts)
    except OmniledgerError as error:
        return str(error)
    return ""


def _show(found: dict[str, Any]) -> None:
    click.echo("Versions")
    for name, version in found["versions"].items():
        click.echo(f"  {name:<20}  {version}")
    click.echo("Settings")
    for setting in found["settings"]:
        value = setting["value"] or "(not set)"
        click.echo(f"  {setting['variable']:<42}  {value}  ({setting['source']})")
    for name in ("database", "prefect"):
        place = found[name]
        click.echo(f"{name.capitalize()}\n  {place['kind']}: {place['where']}: {place['state']}")
    for problem in found["problems"]:
        click.echo(f"\n{problem}")
