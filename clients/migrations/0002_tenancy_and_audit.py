"""The audit trigger, the look-up of keys, and who may see which row of the clients' tables."""

from __future__ import annotations

from django.db import migrations

from ground.tenancy import audited, client_role, only_sql, operator_role, shared_table, tenant_table

AUDIT = """
CREATE FUNCTION bridge_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    client_column text := TG_ARGV[0];
    secret_columns text[] := string_to_array(TG_ARGV[1], ',');
    quiet_columns text[] := string_to_array(TG_ARGV[2], ',');
    old_row jsonb := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE to_jsonb(OLD) END;
    new_row jsonb := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW) END;
    whole jsonb := coalesce(new_row, old_row);
    before_row jsonb := old_row - secret_columns;
    after_row jsonb := new_row - secret_columns;
    secret text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, after_row -> o.key)
          INTO before_row, after_row
          FROM jsonb_each(before_row - quiet_columns) o WHERE o.value IS DISTINCT FROM after_row -> o.key;
        FOREACH secret IN ARRAY secret_columns LOOP
            IF old_row -> secret IS DISTINCT FROM new_row -> secret THEN
                after_row := coalesce(after_row, '{}') || jsonb_build_object(secret, '(changed)');
            END IF;
        END LOOP;
        IF after_row IS NULL THEN RETURN NULL; END IF;
    END IF;
    INSERT INTO audit_log (table_name, row_id, client_id, action, actor, reason, before, after)
    VALUES (
        TG_TABLE_NAME, coalesce(whole ->> 'id', whole ->> 'bot_id', ''),
        CASE WHEN client_column = '' THEN NULL ELSE (whole ->> client_column)::uuid END, TG_OP,
        coalesce(nullif(current_setting('app.actor', true), ''), 'database:' || session_user),
        coalesce(current_setting('app.reason', true), ''), before_row, after_row
    );
    RETURN NULL;
END $$
"""

APPEND_ONLY = """
CREATE FUNCTION bridge_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION bridge_refuse_change();
"""

TOUCH = """
CREATE FUNCTION bridge_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON clients FOR EACH ROW EXECUTE FUNCTION bridge_touch();
"""

WIRE_FORMS = """
CREATE FUNCTION bridge_iso(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT replace((moment AT TIME ZONE 'UTC')::text, ' ', 'T') || 'Z' $$;
CREATE FUNCTION bridge_number(amount numeric) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT trim_scale(amount)::text $$;
"""

AUTHENTICATE = """
CREATE FUNCTION bridge_authenticate(given_prefix text, given_digest text)
RETURNS TABLE (prefix text, kind text, scope text, client_id uuid, bot_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    found api_keys;
BEGIN
    SELECT * INTO found FROM api_keys k
     WHERE k.prefix = given_prefix AND k.digest = given_digest AND k.revoked_at IS NULL
       AND (k.expires_at IS NULL OR k.expires_at > now());
    IF found.id IS NULL THEN RETURN; END IF;
    IF found.client_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM clients c WHERE c.id = found.client_id AND c.retired_at IS NULL AND c.status <> 'suspended'
    ) THEN RETURN; END IF;
    PERFORM set_config('app.client', coalesce(found.client_id::text, ''), true),
            set_config('app.actor', 'key:' || found.prefix, true), set_config('app.reason', '', true);
    IF found.last_used_at IS NULL OR found.last_used_at < now() - interval '1 minute' THEN
        UPDATE api_keys k SET last_used_at = now()
         WHERE k.id = (SELECT l.id FROM api_keys l WHERE l.id = found.id FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN QUERY SELECT found.prefix::text, found.kind::text, found.scope::text, found.client_id, found.bot_id;
END $$
"""


ALLOW_AUTHENTICATION = (
    "REVOKE ALL ON FUNCTION bridge_authenticate(text, text) FROM PUBLIC",
    *(
        f"GRANT EXECUTE ON FUNCTION bridge_authenticate(text, text) TO {role}"
        for role in (operator_role(), client_role())
    ),
)


class Migration(migrations.Migration):
    dependencies = [("clients", "0001_initial")]

    operations = [
        migrations.RunSQL([AUDIT], migrations.RunSQL.noop),
        migrations.RunSQL(APPEND_ONLY, migrations.RunSQL.noop),
        migrations.RunSQL(TOUCH, migrations.RunSQL.noop),
        migrations.RunSQL(WIRE_FORMS, migrations.RunSQL.noop),
        migrations.RunSQL([AUTHENTICATE], migrations.RunSQL.noop),
        only_sql(*ALLOW_AUTHENTICATION),
        tenant_table("clients", client_column="id", client="SELECT, UPDATE"),
        tenant_table("wallets"),
        tenant_table("connectors", client="SELECT, INSERT, UPDATE"),
        tenant_table("api_keys", client=None),
        tenant_table("audit_log", client="SELECT", operator="SELECT"),
        tenant_table("idempotent_answers"),
        shared_table("installation", operator="SELECT"),
        migrations.RunSQL(
            [
                audited("clients", client_column="id", quiet=["updated_at"]),
                audited("wallets", client_column="client_id"),
                audited(
                    "connectors", client_column="client_id", secret_columns=["api_key", "api_secret", "passphrase"]
                ),
                audited("api_keys", client_column="client_id", secret_columns=["digest"], quiet=["last_used_at"]),
            ],
            migrations.RunSQL.noop,
        ),
    ]
