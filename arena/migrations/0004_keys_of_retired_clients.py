"""Whoever retires a client, and by whatever path: the keys of its model providers are erased in the same transaction."""

from __future__ import annotations

from django.db import migrations

ERASE = [
    """
    CREATE FUNCTION arena_erase_model_keys() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    BEGIN
        UPDATE llm_providers SET api_key = NULL, key_hint = '', is_enabled = false, retired_at = NEW.retired_at,
                                 updated_at = NEW.retired_at
         WHERE client_id = NEW.id AND retired_at IS NULL;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER erase_model_keys AFTER UPDATE OF retired_at ON clients FOR EACH ROW "
    "WHEN (OLD.retired_at IS NULL AND NEW.retired_at IS NOT NULL) EXECUTE FUNCTION arena_erase_model_keys()",
]


class Migration(migrations.Migration):
    dependencies = [("arena", "0003_shadows_of_turns"), ("clients", "0002_tenancy_and_audit")]

    operations = [migrations.RunSQL(ERASE, migrations.RunSQL.noop)]
