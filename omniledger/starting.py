"""The files of a folder in which an installed omniledger is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omniledger.errors import LocalError
from omniledger.settings import Settings

_UPGRADE = {
    "alembic.ini": "alembic upgrade head",
    "omniledger.ini": "alembic -c omniledger.ini upgrade head",
}
"""By the file that says where the migrations are, the command that runs them."""

_SCRIPTS = "script_location = omniledger:../migrations"

_ALEMBIC = f"""\
# `{{upgrade}}` in this folder runs the migrations of the installed omniledger.
[alembic]
{_SCRIPTS}
"""

_IGNORED = """\
/.omniledger/
/site/
/omniledger.env
"""


@dataclass(frozen=True)
class PutDown:
    """What was written, the command that upgrades from there, and whose `alembic.ini` stays."""

    written: tuple[Path, ...]
    upgrade: str
    of_another: Path | None


def put_down(folder: Path) -> PutDown:
    """Write the files that aren't there yet.

    Where `alembic.ini` is another project's, ours goes by another name.

    Raises:
        LocalError: the folder can't be read or written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        of_another = _of_another(folder / "alembic.ini")
        ini = "omniledger.ini" if of_another else "alembic.ini"
        files = {
            ini: _ALEMBIC.format(upgrade=_UPGRADE[ini]),
            "omniledger.env": _settings(),
            ".gitignore": _IGNORED,
        }
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
    return PutDown(tuple(written), _UPGRADE[ini], of_another)


def _of_another(ini: Path) -> Path | None:
    """The file, where it is there and runs other migrations."""
    is_ours = not ini.exists() or _SCRIPTS in ini.read_text(encoding="utf-8", errors="replace")
    return None if is_ours else ini


def _settings() -> str:
    """Every setting with its meaning, switched off; it may hold a password, so it is private."""
    lines = [
        "# Load it with `set -a; . ./omniledger.env; set +a`. A shell reads it: put values between",
        "# single quotes, as DATABASE_URL='postgresql://db/gateway?sslmode=require&user=me'.",
    ]
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"OMNILEDGER_{name.upper()}"
        lines += ["", f"# {field.description}", f"#{variable}="]
    return "\n".join(lines) + "\n"
