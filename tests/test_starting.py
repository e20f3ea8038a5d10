"""The files of a folder in which an installed omniledger is run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from alembic.config import Config
from alembic.script import ScriptDirectory
from click.testing import CliRunner

from omniledger import revisions
from omniledger.cli import cli
from omniledger.settings import PROJECT_DIR


def init(folder: Path) -> str:
    result = CliRunner().invoke(cli, ["init", str(folder)])
    assert result.exit_code == 0, result.output
    return result.output


def test_an_alembic_ini_of_another_project_stays_and_is_not_advised(tmp_path: Path) -> None:
    theirs = tmp_path / "alembic.ini"
    theirs.write_text("[alembic]\nscript_location = theirs\n")
    for _ in range(2):
        said = init(tmp_path)
        assert f"{theirs} is another project's and stays" in said
        assert said.strip().endswith("then `alembic -c omniledger.ini upgrade head`.")
    assert theirs.read_text() == "[alembic]\nscript_location = theirs\n"
    scripts = ScriptDirectory.from_config(Config(tmp_path / "omniledger.ini"))
    assert scripts.get_current_head() == revisions.head()


def test_a_folder_of_ours_is_told_the_plain_command(tmp_path: Path) -> None:
    for _ in range(2):
        assert init(tmp_path).strip().endswith("then `alembic upgrade head`.")
    assert not (tmp_path / "omniledger.ini").exists()


def test_the_settings_say_how_to_write_an_address_for_the_shell(tmp_path: Path) -> None:
    init(tmp_path)
    settings = tmp_path / "omniledger.env"
    [example] = [line for line in settings.read_text().splitlines() if "single quotes" in line]
    example = example.partition("as ")[2].removesuffix(".")
    settings.write_text(settings.read_text() + example)
    load = f"set -a; . {settings}; set +a; printenv DATABASE_URL"
    done = subprocess.run(["sh", "-c", load], capture_output=True, text=True, check=True)
    assert done.stdout == "postgresql://db/gateway?sslmode=require&user=me\n"


def test_the_image_has_the_folders_that_compose_mounts_volumes_on() -> None:
    """A new volume on a folder that the image lacks is root's, and the image's user isn't root."""
    compose = yaml.safe_load((PROJECT_DIR / "compose.yaml").read_text())
    home, as_user = "/home/omniledger/", (PROJECT_DIR / "Dockerfile").read_text().partition("USER")
    for service in compose["services"].values():
        for volume in service["volumes"]:
            folder = volume.partition(":")[2].removeprefix(home)
            assert f"mkdir {folder}\n" in as_user[2]
