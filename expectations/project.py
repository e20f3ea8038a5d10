"""The Great Expectations project of one judgement: made in memory, nothing of it is a file to edit.

Only validation results (below `home`) and Data Docs (below the site) are kept, run by run.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import great_expectations as gx
from great_expectations.checkpoint.checkpoint import CheckpointResult
from great_expectations.core import RunIdentifier, ValidationDefinition
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.core.result_format import DEFAULT_RESULT_FORMAT, ResultFormatUnion
from great_expectations.data_context.types.base import DataContextConfig, ProgressBarsConfig
from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier
from psycopg import sql
from pydantic.v1 import PrivateAttr

from expectations.rules import SAMPLE_ROWS, Judged
from omniledger.database import Connection, Dsn, connect
from omniledger.marts import BUILD

DOCS = "data_docs"

# GX wants an address with a user and a host, shows it and stores it; the true one, with its
# password or its Unix socket, goes to `_connect` only.
_ADDRESS = "postgresql+psycopg://omniledger@the-ledger/"

_FIND_MARTS = sql.SQL("set search_path = {}").format(sql.Identifier(BUILD))

_KEPT_RUNS = 60
"""How many runs have pages; what they found stays in `ledger.gate_results` for good."""


class KeyedValidation(ValidationDefinition):
    """A validation that names offending rows by the key of its own table."""

    _key: tuple[str, ...] = PrivateAttr(default=())

    def run(
        self,
        *,
        checkpoint_id: str | None = None,
        batch_parameters: dict[str, Any] | None = None,
        expectation_parameters: dict[str, Any] | None = None,
        result_format: ResultFormatUnion = DEFAULT_RESULT_FORMAT,
        run_id: RunIdentifier | None = None,
    ) -> ExpectationSuiteValidationResult:
        """Validate, with the key columns added to what the checkpoint asks for."""
        if self._key and isinstance(result_format, dict):
            result_format = {**result_format, "unexpected_index_column_names": list(self._key)}
        return super().run(
            checkpoint_id=checkpoint_id,
            batch_parameters=batch_parameters,
            expectation_parameters=expectation_parameters,
            result_format=result_format,
            run_id=run_id,
        )


class Project:
    """Suites, the rows that they judge, and one checkpoint over all of them.

    A context manager: Great Expectations closes none of the connections that it opens.
    """

    def __init__(self, dsn: Dsn, home: Path, site_dir: Path) -> None:
        self._connections: list[Connection] = []
        kept = home / "gate" / "validations"
        _forget_old_runs(kept)
        self._context = gx.get_context(mode="ephemeral", project_config=_config(kept, site_dir))
        self._database = self._context.data_sources.add_postgres(
            "ledger",
            connection_string=_ADDRESS,
            create_temp_table=False,
            # The stub lacks this argument.
            kwargs={"creator": partial(self._connect, dsn)},  # type: ignore[call-arg]
        )
        self._validations: list[ValidationDefinition] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()

    def judge(self, judged: Judged) -> None:
        """Let a suite judge its rows when the project runs."""
        name = judged.suite.name
        asset = (
            self._database.add_table_asset(judged.mart)
            if judged.mart is not None
            else self._database.add_query_asset(name, query=judged.query or "")
        )
        validation = KeyedValidation(
            name=name,
            data=asset.add_batch_definition_whole_table("rows"),
            suite=self._context.suites.add(judged.suite),
        )
        validation._key = judged.key
        self._validations.append(self._context.validation_definitions.add(validation))

    def run(self, run_name: str) -> CheckpointResult:
        """Judge everything in one checkpoint, and write the Data Docs of this run.

        Run names are ordered by time, so that old runs can be told from new ones.
        """
        # Not added to the context by hand, which would give back a copy without the keys.
        checkpoint = gx.Checkpoint(
            name="gate",
            validation_definitions=self._validations,
            result_format={"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE_ROWS},
        )
        result = checkpoint.run(run_id=RunIdentifier(run_name=run_name))
        suites = [ExpectationSuiteIdentifier(name=v.suite.name) for v in self._validations]
        pages: list[Any] = [*result.run_results, *suites]
        self._context.build_data_docs(resource_identifiers=pages)
        return result

    def _connect(self, dsn: Dsn) -> Connection:
        """A connection for Great Expectations, which only ever reads: the server sees to that."""
        connection = connect(dsn, application_name="omniledger gate", autocommit=True)
        connection.execute(_FIND_MARTS)
        connection.autocommit, connection.read_only = False, True
        self._connections.append(connection)
        return connection


def _forget_old_runs(validations: Path) -> None:
    """Drop the results of old runs; their pages go when the index is next built without them."""
    for suite in (folder for folder in validations.glob("*") if folder.is_dir()):
        newest_first = sorted(suite.iterdir(), reverse=True)
        for run in newest_first[_KEPT_RUNS - 1 :]:
            shutil.rmtree(run)


def _config(validations: Path, site_dir: Path) -> DataContextConfig:
    offline = {"module_name": "expectations.offline_docs"}
    page: Mapping[str, Any] = {"view": {**offline, "class_name": "OfflinePage"}}
    return DataContextConfig(
        config_version=4.0,
        stores={
            "expectations_store": {"class_name": "ExpectationsStore"},
            "validation_definition_store": {"class_name": "ValidationDefinitionStore"},
            "checkpoint_store": {"class_name": "CheckpointStore"},
            "validation_results_store": {
                "class_name": "ValidationResultsStore",
                "store_backend": _files(validations),
            },
        },
        expectations_store_name="expectations_store",
        validation_results_store_name="validation_results_store",
        checkpoint_store_name="checkpoint_store",
        data_docs_sites={
            "omniledger": {
                **offline,
                "class_name": "OfflineSite",
                "show_how_to_buttons": False,
                "store_backend": _files(site_dir / DOCS),
                "site_index_builder": {
                    **offline,
                    "class_name": "SeverityIndexBuilder",
                    "renderer": {**offline, "class_name": "SeverityIndexRenderer"},
                    "view": {**offline, "class_name": "OfflineIndex"},
                },
                "site_section_builders": {
                    "expectations": page,
                    "validations": page,
                    "profiling": "None",
                },
            }
        },
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
    )


def _files(folder: Path) -> dict[str, str]:
    return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
