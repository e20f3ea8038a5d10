"""What is installed from the wheel has all that it needs, and runs outside of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from omniledger.settings import PROJECT_DIR
from tests.conftest import Server, ask

pytestmark = pytest.mark.slow

PROGRAMS = ("omniledger", "flows", "expectations", "migrations")
BY_PATH = ("models", "macros", "samples", "dbt_project.yml", "profiles.yml")
"""What is read by its path, not imported."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel and the sdist, built without a network."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(build, cwd=PROJECT_DIR, check=True, capture_output=True)
    return folder


def tracked(*paths: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", *paths], cwd=PROJECT_DIR, check=True, capture_output=True, text=True
    )
    return set(listed.stdout.splitlines())


def test_an_installed_wheel_upgrades_and_runs_in_a_folder_of_its_own(
    built: Path, server: Server, tmp_path: Path
) -> None:
    [wheel] = built.glob("*.whl")
    installed, folder = tmp_path / "installed", tmp_path / "ledger"
    with ZipFile(wheel) as file:
        names = set(file.namelist())
        file.extractall(installed)
    assert tracked(*PROGRAMS) <= names
    assert {f"omniledger/project/{name}" for name in tracked(*BY_PATH)} <= names
    assert not {name.split("/")[0] for name in names} & {"tests", "benchmarks", "docs"}

    dsn = server.state("gateway")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("OMNILEDGER_", "DBT_"))},
        "DATABASE_URL": dsn.url(),
        # Before what the checkout installed of itself; the dependencies are the same.
        "PYTHONPATH": str(installed),
    }

    def run(*command: str, cwd: Path = folder) -> str:
        done = subprocess.run(
            [sys.executable, "-P", *command],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "alembic.ini" in run("-m", "omniledger", "init", str(folder), cwd=tmp_path)
    assert run("-m", "omniledger", "init", cwd=folder).count("written") == 0
    assert (folder / "omniledger.env").stat().st_mode & 0o077 == 0
    run("-m", "alembic", "upgrade", "head")
    assert ask(dsn, "select to_regclass('ledger.runs') is not null") == [(True,)]
    said = run("-c", _BUILD)
    assert str(installed / "omniledger" / "project") in said
    assert ask(dsn, "select count(*) from analytics_build.dim_users") == ask(
        dsn, "select count(*) from auth_service.users"
    )
    assert (folder / ".omniledger").stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        ".gitignore",
        ".omniledger",
        "alembic.ini",
        "omniledger.env",
    ]


_BUILD = """
from expectations import gate
from omniledger import modelling
from omniledger.database import target
from omniledger.settings import PROJECT_DIR, get_settings
modelling._run(target(), get_settings(), "run", "--select", "+dim_users")
print(PROJECT_DIR)
"""


def test_the_sdist_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    [archive], [wheel] = built.glob("*.tar.gz"), built.glob("*.whl")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(tmp_path)], check=True)
    [source] = tmp_path.iterdir()
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "w")]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    [again] = (tmp_path / "w").glob("*.whl")
    with ZipFile(wheel) as one, ZipFile(again) as other:
        assert one.namelist() == other.namelist()
