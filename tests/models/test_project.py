"""The project as dbt takes it: without a warning, without a database, with tables missing."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from psycopg.errors import FeatureNotSupported

from omniledger import modelling
from omniledger.database import connect
from omniledger.errors import LocalError
from omniledger.report.rendering import TEMPLATES
from omniledger.settings import PROJECT_DIR
from tests.conftest import ask
from tests.models.conftest import Prepared, request_at


def test_the_project_parses_without_a_database_or_a_warning(
    prepared: Prepared,
) -> None:
    nowhere = replace(prepared.dsn, host="192.0.2.1", port=9)
    prepared.dbt(nowhere, "parse", "--no-partial-parse")
    assert [line for line in prepared.dbt.messages if "[WARNING]" in line] == []


def test_missing_tables_and_columns_of_the_gateway_are_empty(prepared: Prepared) -> None:
    dsn = prepared.restore("empty").dsn
    ask(
        dsn,
        "drop table auth_service.users, auth_service.roles cascade;"
        "create table auth_service.users (id integer, email text);"
        "insert into auth_service.users values (1, 'a@example.org')",
    )
    prepared.dbt(dsn, "run", "--select", "stg_users+", "stg_roles+")
    assert ask(
        dsn, "select user_id, display_name, role_name, is_active from analytics_build.dim_users"
    ) == [(1, "a@example.org", None, None)]


def test_what_is_sent_to_a_database_of_any_encoding_is_ascii() -> None:
    folders = ("models", "macros", "migrations", "tests/dbt")
    texts = [
        path
        for folder in folders
        for path in (PROJECT_DIR / folder).rglob("*")
        if path.suffix in (".sql", ".yml", ".md")
    ]
    assert len(texts) > 100
    assert [path for path in texts if not path.read_bytes().isascii()] == []


def test_a_view_that_had_other_columns_is_replaced(prepared: Prepared) -> None:
    dsn = prepared.restore("empty").dsn
    ask(
        dsn,
        "drop view analytics_build.stg_roles cascade;"
        "create view analytics_build.stg_roles as select 1 as other",
    )
    prepared.dbt(dsn, "run", "--select", "stg_roles+")
    assert ask(dsn, "select * from analytics_build.stg_roles") == []


def test_names_of_models_are_read_in_the_collation_of_the_database(prepared: Prepared) -> None:
    marts = prepared.restore("empty")
    ask(
        marts.dsn,
        "drop view analytics_build.stg_audit_logs, analytics_build.contract_audit_log cascade;"
        "drop table analytics_build.int_met_model_names cascade",
    )
    with connect(marts.dsn, autocommit=True) as connection, suppress(FeatureNotSupported):
        connection.execute(
            "create collation collation_of_models"
            " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    [(collation,)] = ask(
        marts.dsn, "select coalesce(to_regcollation('collation_of_models')::text, '\"C\"')"
    )
    ask(
        marts.dsn,
        f"alter table omni2.audit_logs alter llm_model type text collate {collation}",
    )
    tokens = {"tokens_input": 300, "tokens_output": 100}
    request_at(marts, "2026-02-01 00:00+00", llm_model="Claude-3-5-Haiku-20241022", **tokens)
    prepared.dbt(marts.dsn, "run", "--select", "stg_audit_logs+")
    assert ask(marts.dsn, "select distinct provider_name from analytics_build.fct_focus") == [
        ("Anthropic",)
    ]
    assert ask(
        marts.dsn,
        "select attcollation::regcollation::text from pg_attribute"
        " where attrelid = 'analytics_build.stg_audit_logs'::regclass and attname = 'llm_model'",
    ) == [('"default"',)]


def test_every_model_is_described_to_the_last_column(prepared: Prepared) -> None:
    assert prepared.dbt.manifest is not None
    dsn = prepared.restore("empty").dsn
    for node in prepared.dbt.manifest.nodes.values():
        if node.unique_id.startswith("model."):
            assert node.description.startswith("One row"), node.name
            columns = ask(
                dsn,
                "select attname::text from pg_attribute where attrelid = to_regclass(%s)"
                " and attnum > 0 and not attisdropped order by attnum",
                f"analytics_build.{node.name}",
            )
            assert [(name,) for name in node.columns] == columns
            assert all(column.description for column in node.columns.values())


def test_a_full_disk_under_home_is_one_sentence(prepared: Prepared) -> None:
    settings = prepared.dbt.settings
    # What dbt writes there fails as on a full disk, and needs no file system of its own.
    graph = settings.home / "dbt" / "target" / "graph.gpickle"
    graph.unlink(missing_ok=True)
    graph.symlink_to("/dev/full")
    try:
        with (
            ThreadPoolExecutor(1) as alone,
            pytest.raises(LocalError, match="No space left on device; free it or set OMNILEDGER_H"),
        ):
            alone.submit(modelling.build, prepared.dsn, settings).result()
    finally:
        graph.unlink()


def test_every_figure_of_the_report_is_a_column_that_is_described(prepared: Prepared) -> None:
    assert prepared.dbt.manifest is not None
    written = "\n".join(path.read_text() for path in TEMPLATES.rglob("*.j2"))
    terms = set(re.findall(r'term\("[^"]*", "(\w+)", "(\w+)"\)', written))
    described = {
        (node.name, name)
        for node in prepared.dbt.manifest.nodes.values()
        for name, column in node.columns.items()
        if column.description
    }
    assert len(terms) > 40
    assert terms - described == set()


HOW_NOT_WHAT = {
    *("begin_anew", "begin_build", "build_stamp", "changed_events", "days_of_other_models"),
    *("days_of_other_terms", "find_changed_days", "find_changed_health", "find_changed_usage"),
    *("keep_pruned_days", "keep_control_totals", "learnt_interval_bounds", "look_into_index"),
    *("optional_columns", "optional_relation", "plan_for_many_rows", "remember_build_inputs"),
    *("remember_health_inputs", "remember_usage_inputs", "remember_what_was_seen", "seen_until"),
    *("setting", "setting_literal", "where_day_changed", "last_event_ahead"),
    *("bare_billed_model", "billed_model", "ledger_token_kind", "tell_rows_by_all_columns"),
}
"""Macros that find what to build or say a setting, which is an input of its own, and those of marts
that are computed as a whole in each run."""


def test_other_code_of_a_macro_builds_the_days_again(prepared: Prepared) -> None:
    assert prepared.dbt.manifest is not None
    macros = prepared.dbt.manifest.macros
    ours = "macro.omniledger."
    digested = set(macros[ours + "code_digest"].depends_on.macros)
    for name in list(digested):
        digested |= set(macros[name].depends_on.macros)
    called = {
        macro
        for node in models_of(prepared).values()
        for macro in node.depends_on.macros
        if macro.startswith(ours)
    }
    assert called - digested - {ours + name for name in HOW_NOT_WHAT} == set()


# The rules of dbt's project evaluator, where they fit; what is left out of one says why.

READS_A_SOURCE = {
    "fct_daily_usage": "control totals are taken straight from the raw table, for the gate",
    "dim_mcp_servers": "the newest and oldest event are looked up by index, not read",
    "contract_audit_log": "the contract shows texts that staging leaves out",
    "contract_health_log": "the contract shows texts that staging leaves out",
}

BUILT_UPON = {"dim_mcp_servers": "days and hours are laid out for the servers it knows"}

STANDS_ALONE = {"int_settings": "one row of the settings, which come as variables"}

READ_BY_ALL = {"int_settings": "each mart looks whether it is built with the settings of its views"}

REVISIONS = "source.omniledger.analytics.usage_revisions"
"""Published beside the marts, and built by no model."""

FAN_OUT = 6
"""Models that may build on one: more of them ask for a model between."""


def models_of(prepared: Prepared) -> dict[str, Any]:
    assert prepared.dbt.manifest is not None
    nodes = prepared.dbt.manifest.nodes
    return {key: node for key, node in nodes.items() if key.startswith("model.")}


def layer(node: Any) -> str:
    return str(node.path.split("/")[0])


def test_names_say_the_layer_and_the_folder(prepared: Prepared) -> None:
    prefixes = {
        "staging": ("stg_",),
        "intermediate": ("int_",),
        "marts": ("fct_", "dim_", "contract_"),
    }
    for node in models_of(prepared).values():
        assert node.name.startswith(prefixes[layer(node)]), node.name


def test_each_layer_builds_on_the_one_before(prepared: Prepared) -> None:
    models = models_of(prepared)
    for node in models.values():
        parents = node.depends_on.nodes
        sources = [parent for parent in parents if parent.startswith("source.")]
        layers = {layer(models[parent]) for parent in parents if parent in models}
        if layer(node) == "staging":
            assert (len(sources), layers) == (1, set()), node.name
        else:
            assert parents or node.name in STANDS_ALONE, node.name
            assert not sources or node.name in READS_A_SOURCE, node.name
        if layer(node) == "intermediate":
            above = {models[p].name for p in parents if p in models and layer(models[p]) == "marts"}
            assert above <= set(BUILT_UPON), node.name


def test_each_source_has_one_staging_model_and_nothing_fans_out(prepared: Prepared) -> None:
    models = models_of(prepared)
    children: dict[str, list[str]] = {}
    for node in models.values():
        for parent in node.depends_on.nodes:
            children.setdefault(parent, []).append(node.name)
    assert prepared.dbt.manifest is not None
    for key, source in prepared.dbt.manifest.sources.items():
        if key != REVISIONS:
            assert children.get(key, []).count(f"stg_{source.name}") == 1, key
    for key, node in models.items():
        if layer(node) == "intermediate" and node.name not in READ_BY_ALL:
            assert len(children.get(key, [])) <= FAN_OUT, node.name
        if layer(node) != "marts":
            assert children.get(key), f"nothing builds on {node.name}"


def test_every_mart_has_a_key_that_is_tested_a_group_and_a_tag(prepared: Prepared) -> None:
    assert prepared.dbt.manifest is not None
    tested: dict[str, set[str]] = {}
    nodes: dict[str, Any] = dict(prepared.dbt.manifest.nodes)
    for unique_id, node in nodes.items():
        if unique_id.startswith("test.") and node.test_metadata is not None:
            for parent in node.depends_on.nodes:
                tested.setdefault(parent, set()).add(node.test_metadata.name)
    for key, node in models_of(prepared).items():
        assert node.group, node.name
        assert node.tags, node.name
        if layer(node) == "marts":
            assert tested.get(key, set()) & {"unique", "unique_grain"}, node.name


def test_what_is_there_is_described_and_leads_to_a_reader(prepared: Prepared) -> None:
    manifest = prepared.dbt.manifest
    assert manifest is not None
    for source in manifest.sources.values():
        assert source.description and source.source_description, source.name
    for node in [*models_of(prepared).values(), *manifest.sources.values()]:
        for column in node.columns.values():
            assert len(column.description.split()) > 3, f"{node.name}.{column.name}"
    for macro in manifest.macros.values():
        if macro.package_name == "omniledger":
            assert macro.description, macro.name
            assert all(argument.description for argument in macro.arguments), macro.name
    marts = {key for key, node in models_of(prepared).items() if layer(node) == "marts"}
    read = {*marts, REVISIONS}
    shown: set[str] = set()
    for exposure in manifest.exposures.values():
        assert exposure.description and exposure.owner.name, exposure.name
        assert set(exposure.depends_on.nodes) <= read, exposure.name
        shown |= set(exposure.depends_on.nodes)
    assert shown == read
    assert all(group.owner.name for group in manifest.groups.values())
