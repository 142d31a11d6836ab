"""What a migration says of a table: who may read and write it, and which rows a tenant sees.

Row-level security is the second wall behind the scoped selectors. The owner is not subject to it (no FORCE: it would
silently empty data migrations, COPY and pg_dump); the operator role sees every row, the client role its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db import migrations

ALL = "SELECT, INSERT, UPDATE, DELETE"
OWN_ROWS = "= nullif(current_setting('app.client', true), '')::uuid"


def operator_role() -> str:
    return f"{settings.DATABASE_ROLE_PREFIX}_operator"


def client_role() -> str:
    return f"{settings.DATABASE_ROLE_PREFIX}_client"


def tenant_table(
    table: str, *, client_column: str = "client_id", client: str | None = ALL, operator: str = ALL
) -> migrations.RunSQL:
    """Row-level security for a tenant's table; ``client`` None keeps the client role out of it altogether."""
    statements = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"GRANT {operator} ON {table} TO {operator_role()}",
        f"CREATE POLICY every_row ON {table} TO {operator_role()} USING (true) WITH CHECK (true)",
    ]
    if client:
        statements += [
            f"GRANT {client} ON {table} TO {client_role()}",
            f"CREATE POLICY own_rows ON {table} TO {client_role()} USING ({client_column} {OWN_ROWS})",
        ]
    return only_sql(*statements)


def shared_table(table: str, *, client: str | None = None, operator: str = ALL) -> migrations.RunSQL:
    """A table without tenants: operators use it, clients at most read it."""
    statements = [f"GRANT {operator} ON {table} TO {operator_role()}"]
    if client:
        statements.append(f"GRANT {client} ON {table} TO {client_role()}")
    return only_sql(*statements)


def only_sql(*statements: str) -> migrations.RunSQL:
    """Statements that a migration never takes back. Not RunPython: before each of those Django builds the classes of all
    models anew, which took a quarter of the time of the first start."""
    return migrations.RunSQL(list(statements), migrations.RunSQL.noop)


def audited(table: str, *, client_column: str, secret_columns: Sequence[str] = (), quiet: Sequence[str] = ()) -> str:
    """SQL of the trigger that writes each change of a row into ``audit_log``.

    ``secret_columns`` never appear in it, not even encrypted; a change in ``quiet`` columns alone leaves no entry.
    """
    arguments = ", ".join(f"'{item}'" for item in (client_column, ",".join(secret_columns), ",".join(quiet)))
    return (
        f"CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION bridge_audit({arguments})"
    )
