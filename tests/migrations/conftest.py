"""Settings that a test makes its own."""

from collections.abc import Callable, Iterator

import pytest

from omniledger.settings import get_settings

SetSetting = Callable[[str, str], None]


@pytest.fixture
def set_setting() -> Iterator[SetSetting]:
    """Set one by its name; all are as they were afterwards."""

    with pytest.MonkeyPatch.context() as patch:

        def change(name: str, value: str) -> None:
            patch.setenv(f"OMNILEDGER_{name.upper()}", value)
            get_settings.cache_clear()

        yield change
    get_settings.cache_clear()
