"""A server that may be crashed, shared by the tests of faults."""

from collections.abc import Iterator

import pytest

from tests.faults.harness import CrashServer


@pytest.fixture(scope="package")
def crash_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashServer]:
    server = CrashServer(tmp_path_factory.mktemp("crash"))
    yield server
    server.stop()
