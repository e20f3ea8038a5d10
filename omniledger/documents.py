"""What programs read: every `--json` prints its document here, so all are written the same way."""

from __future__ import annotations

import click


def print_document(document: object) -> None:
    """Print it as JSON in ASCII: times are ISO 8601 in UTC, exact numbers are texts."""
    import json

    click.echo(json.dumps(document, indent=2, default=_plain))


def _plain(value: object) -> object:
    from dataclasses import asdict, is_dataclass
    from datetime import UTC, datetime
    from decimal import Decimal

    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
