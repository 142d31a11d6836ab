"""The database roles that requests and workers log in as. They own nothing, so row-level security holds for them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connections, transaction
from psycopg import sql

from ground.errors import BridgeError
from ground.tenancy import client_role, operator_role

# Django's own tables that the admin writes to; what is ours says in its migration who may use it.
DJANGO_TABLES = ("auth_", "django_", "otp_", "axes_")


class RolesMissing(BridgeError):
    """The login role may not create roles; the message holds the SQL that an administrator must run."""

    code = "database_roles_missing"


def ensure_roles(using: str = "default", **_: Any) -> None:
    """Create the two login roles, or set their passwords. Raises RolesMissing where that is not allowed."""
    connection = connections[using]
    if connection.alias != "default":
        return
    roles = {"operator": operator_role(), "client": client_role()}
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('bridge roles'))")  # two releases may start at once
        cursor.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
        may_create = bool(cursor.fetchone()[0])
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(roles.values())])
        existing = {row[0] for row in cursor.fetchall()}
        if may_create:
            for kind, role in roles.items():
                _set_role(cursor, role, password=settings.DATABASES[kind]["PASSWORD"], exists=role in existing)
        elif missing := {kind: role for kind, role in roles.items() if role not in existing}:
            raise RolesMissing(_what_to_run(missing))


def _set_role(cursor: Any, role: str, *, password: str, exists: bool) -> None:
    verb = "ALTER" if exists else "CREATE"
    # Only a superuser may so much as repeat the other words for a role that exists.
    words = "LOGIN" if exists else "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB"
    statement = sql.SQL("{} ROLE {} " + words + " PASSWORD {}")
    parts = (sql.SQL(verb), sql.Identifier(role), sql.Literal(password))
    cursor.execute(statement.format(*parts).as_string(cursor.connection))
    usage = sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(role))
    cursor.execute(usage.as_string(cursor.connection))


def _what_to_run(missing: dict[str, str]) -> str:
    """The SQL for an administrator; where the passwords come from, not the passwords."""
    lines = [
        f"    CREATE ROLE {role} LOGIN PASSWORD '<what bin/manage role_password {kind} prints>';\n"
        f"    GRANT USAGE ON SCHEMA public TO {role};"
        for kind, role in missing.items()
    ]
    return "The database login may not create roles. Ask an administrator to run this, then start again:\n" + "\n".join(
        lines
    )


def grant_django_tables(using: str = "default", **_: Any) -> None:
    """Let operators use Django's own tables (users, sessions, admin log)."""
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user")
        tables = [row[0] for row in cursor.fetchall() if row[0].startswith(DJANGO_TABLES)]
        role = sql.Identifier(operator_role())
        for table in tables:
            rights = sql.SQL("SELECT" if table == "django_migrations" else "SELECT, INSERT, UPDATE, DELETE")
            statement = sql.SQL("GRANT {} ON {} TO {}").format(rights, sql.Identifier(table), role)
            cursor.execute(statement.as_string(cursor.connection))
        cursor.execute(
            sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(role).as_string(cursor.connection)
        )
