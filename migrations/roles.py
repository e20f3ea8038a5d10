"""The four roles and what they may, as SQL that can be run again and again."""

from migrations.ddl import sql


def granting(legacy_schema: str) -> str:
    """The SQL that makes the roles and gives them their rights on what is there now."""
    return _about(legacy_schema, "roles")


def revoking(legacy_schema: str) -> str:
    """The SQL that takes their rights on this database; the roles stay, others may use them."""
    return _about(legacy_schema, "roles_away")


def _about(legacy_schema: str, name: str) -> str:
    return sql(name).replace("{legacy_schema}", legacy_schema.replace("'", "''"))
