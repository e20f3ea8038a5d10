"""What the variables of the environment make of the settings."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest.mock import patch

import pytest

from flows.environment import prepare
from omniledger.errors import SettingsError
from omniledger.settings import Settings, get_settings
from omniledger.starting import put_down


def test_variables_that_are_empty_are_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `omniledger.env` has them once their comment signs are taken off."""
    put_down(tmp_path)
    variables = re.findall(r"^#(\w+)=$", (tmp_path / "omniledger.env").read_text(), re.MULTILINE)
    assert {"DATABASE_URL", "OMNILEDGER_HOME", "OMNILEDGER_ALERTS_QUIET"} <= set(variables)
    for variable in variables:
        monkeypatch.delenv(variable, raising=False)
    unset = Settings()
    for variable in variables:
        monkeypatch.setenv(variable, "")
    assert Settings() == unset


def test_libraries_find_a_home_where_the_machine_knows_none(tmp_path: Path) -> None:
    """As in a container that is run as an id without a name; they ask when they are imported."""
    with patch.dict(os.environ), patch.object(Path, "home", side_effect=RuntimeError("none")):
        os.environ.pop("HOME", None)
        prepare(Settings(home=tmp_path))
        assert os.environ["HOME"] == str(tmp_path)


def test_quiet_hours_name_no_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNILEDGER_ALERTS_QUIET", "22:00+01:00-07:00")
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match="hours are of OMNILEDGER_REPORTING_TIMEZONE"):
        get_settings()


@pytest.mark.parametrize("between", [" ", ",", ", ", " , ", "\n"])
def test_a_channel_may_have_commas_in_its_address(
    monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    """As those have whom a mail goes to."""
    channels = ["mailto://me:a,b@example.com?to=a@example.com,b@example.com", "json://host/hook"]
    monkeypatch.setenv("OMNILEDGER_ALERTS", between.join(channels) + between)
    assert [one.get_secret_value() for one in Settings().alerts] == channels
