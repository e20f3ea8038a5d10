"""The files of a folder in which an installed omniledger is run."""

from __future__ import annotations

from pathlib import Path

from omniledger.errors import LocalError
from omniledger.settings import Settings

_ALEMBIC = """\
# `alembic upgrade head` in this folder runs the migrations of the installed omniledger.
[alembic]
script_location = omniledger:../migrations
"""

_IGNORED = """\
/.omniledger/
/site/
/omniledger.env
"""


def put_down(folder: Path) -> list[Path]:
    """Write the files that aren't there yet.

    Returns:
        Those that were written.

    Raises:
        LocalError: the folder can't be written.
    """
    files = {"alembic.ini": _ALEMBIC, "omniledger.env": _settings(), ".gitignore": _IGNORED}
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = folder / name
            if not path.exists():
                path.touch(mode=0o600 if name.endswith(".env") else 0o644)
                path.write_text(text, encoding="utf-8")
                written.append(path)
    except OSError as error:
        raise LocalError(
            f"{folder} can't be written: {error.strerror}; name another folder."
        ) from None
    return written


def _settings() -> str:
    """Every setting with its meaning, switched off; it may hold a password, so it is private."""
    lines = ["# Load it with `set -a; . ./omniledger.env; set +a`."]
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"OMNILEDGER_{name.upper()}"
        lines += ["", f"# {field.description}", f"#{variable}="]
    return "\n".join(lines) + "\n"
