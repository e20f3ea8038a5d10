"""Every setting, read once from the environment."""

from __future__ import annotations

import os
import re
from datetime import time
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from omniledger.errors import SettingsError

if TYPE_CHECKING:
    import psycopg

_BESIDE = Path(__file__).resolve().parent.parent
IS_CHECKOUT = (_BESIDE / "dbt_project.yml").is_file()
"""Whether this runs from a checkout; else from an installed wheel."""

PROJECT_DIR = _BESIDE if IS_CHECKOUT else _BESIDE / "omniledger" / "project"
"""Where dbt's project and the samples are; nothing is written there."""

MIGRATIONS_DIR = _BESIDE / "migrations"
"""Alembic's folder."""


def _work_dir() -> Path:
    return PROJECT_DIR if IS_CHECKOUT else Path.cwd()


_BETWEEN_URLS = re.compile(r"[\s,]+(?=[A-Za-z][\w+.-]*://)|\s+")
"""A comma within one is part of it, as in a list of those whom a mail goes to."""

_STORE = """
insert into ledger.settings (name, value) values (%s, %s)
on conflict (name) do update set value = excluded.value
"""


class Settings(BaseSettings):
    """What an operator can set, by the variable named in each description."""

    model_config = SettingsConfigDict(
        env_prefix="OMNILEDGER_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    database_url: SecretStr | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="The database, as a libpq or SQLAlchemy URL or a libpq keyword string.",
    )
    legacy_schema: str = Field(
        "public",
        min_length=1,
        description="Schema of the audit table that was written unqualified.",
    )
    legacy_timezone: str = Field(
        "UTC", description="Zone that times without one in the old audit table are read in."
    )
    reporting_timezone: str = Field("UTC", description="Zone whose days the figures are of.")
    default_model: str = Field(
        "claude-3-5-haiku", min_length=1, description="Model of rows that don't say which ran."
    )
    default_cost_limit: Decimal = Field(
        Decimal("10.00"),
        ge=0,
        description="What a user for whom nothing is set may spend in a day, US dollars.",
    )
    unpriced_tokens: Literal["count", "show"] = Field(
        "count",
        description="Whether tokens without a cost count for the quota, or are only shown.",
    )
    match_window_seconds: Decimal = Field(
        Decimal(5), ge=0, le=3600, description="How far apart two logs of one request may be, s."
    )
    merge_workers: int = Field(
        default_factory=lambda: max(1, min(2, (os.cpu_count() or 1) // 2)),
        ge=1,
        le=16,
        description="How many batches of the merge to do at once, each on its own connection.",
    )
    lock_patience_seconds: float = Field(
        600,
        gt=0,
        le=86400,
        description="How long an upgrade waits for others' locks and transactions, s.",
    )
    merge_max_load: Decimal = Field(
        Decimal(1), gt=0, le=1, description="Share of time in which the merge may be at work."
    )
    merge_max_lag_seconds: Decimal = Field(
        Decimal(10), gt=0, description="How far replicas may lag before the merge waits, s."
    )
    health_objective: Decimal = Field(
        Decimal("0.995"), gt=0, lt=1, description="Share of known time a server should be up."
    )
    health_check_interval_seconds: int = Field(
        300, gt=0, le=86400, description="How often a server is expected to be checked, s."
    )
    health_hold_factor: int = Field(
        3, gt=0, le=100, description="How many intervals a state holds without a new event."
    )
    bill_tolerance_share: Decimal = Field(
        Decimal("0.01"),
        ge=0,
        le=1,
        description="Share by which the bill of a day may differ from the ledger unremarked.",
    )
    health_hourly_days: int = Field(
        7, gt=0, le=90, description="For how many days health is told by the hour."
    )
    raw_keep_days: int | None = Field(
        None,
        ge=1,
        le=36500,
        description="How many whole days before today raw rows stay; unset, they stay for ever.",
    )
    raw_archive: Path | None = Field(
        None, description="Folder that raw rows are written to before they are removed."
    )
    show_emails: bool = Field(
        False, description="Whether the report shows users' e-mail addresses beside their names."
    )
    alerts: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Apprise URLs, separated by spaces or commas."
    )
    alerts_quiet: Annotated[tuple[time, time] | None, NoDecode] = Field(
        None, description="Hours in which no alert is sent, like 22:00-07:00."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="How what a command says while it works is written to stderr."
    )
    quiet: bool = Field(False, description="Whether only results, warnings and errors are said.")
    home: Path = Field(
        _work_dir() / ".omniledger", description="Folder of the embedded database and run state."
    )
    site_dir: Path = Field(_work_dir() / "site", description="Folder that the site is built into.")

    site_url: str = Field(
        "http://127.0.0.1:8000/",
        pattern=r"^https?://",
        description="Address at which the site is served, for links to it.",
    )

    @field_validator("legacy_timezone", "reporting_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, KeyError, OSError):
            raise ValueError(
                f"no time zone is named {value!r}; use one like Europe/Berlin"
            ) from None
        return value

    @field_validator("alerts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(one for url in _BETWEEN_URLS.split(value) if (one := url.strip(",")))

    @field_validator("alerts_quiet", mode="before")
    @classmethod
    def _two_times(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        begin, _, end = value.partition("-")
        try:
            hours = time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())
        except ValueError:
            raise ValueError(f"{value!r} are no hours; write them like 22:00-07:00") from None
        if any(hour.tzinfo is not None for hour in hours):
            raise ValueError(
                f"{value!r} name a zone, and hours are of OMNILEDGER_REPORTING_TIMEZONE; write "
                "them like 22:00-07:00"
            )
        return hours

    @field_validator("home", "site_dir", "raw_archive")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    def make_home(self) -> None:
        """Make the folder of the state of runs, where it isn't there, for its user's eyes only."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        """The settings that dbt's vars read, as environment variables."""
        names = (
            "reporting_timezone",
            "default_model",
            "unpriced_tokens",
            "health_objective",
            "health_check_interval_seconds",
            "health_hold_factor",
            "health_hourly_days",
        )
        return {f"OMNILEDGER_{name.upper()}": str(getattr(self, name)) for name in names}

    def store(self, connection: psycopg.Connection[Any]) -> None:
        """Tell the database what its own functions and the report have to know.

        Raises:
            SettingsError: the database doesn't know the time zone, as its list may be an older one;
                stored, it would break every check of a quota.
        """
        self._require_zone(connection)
        for name in (
            "default_model",
            "reporting_timezone",
            "default_cost_limit",
            "unpriced_tokens",
        ):
            connection.execute(_STORE, (name, str(getattr(self, name))))

    def _require_zone(self, connection: psycopg.Connection[Any]) -> None:
        import psycopg

        try:
            with connection.transaction():
                connection.execute("select now() at time zone %s", [self.reporting_timezone])
        except psycopg.errors.InvalidParameterValue:
            raise SettingsError(
                "OMNILEDGER_REPORTING_TIMEZONE is wrong: the database knows no time zone "
                f"{self.reporting_timezone!r}; use one of its view pg_timezone_names."
            ) from None


@cache
def get_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: a value is wrong; the sentence names the variable and never shows a secret.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_sentence(error.errors(include_input=False)[0])) from None


def _sentence(problem: Any) -> str:
    name = str(problem["loc"][0])
    variable = name if name == "DATABASE_URL" else f"OMNILEDGER_{name.upper()}"
    reason = str(problem["msg"]).removeprefix("Value error, ")
    return f"{variable} is wrong: {reason[0].lower()}{reason[1:]}."
