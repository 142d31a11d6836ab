"""The statements of reference C: the product's SQL with the look-up of the key in front, one statement per request."""

from __future__ import annotations

from bots import selectors as bots
from clients import selectors as clients

SILENT_POLLS = bots.SILENT_POLLS
_CALLER = "WITH caller AS MATERIALIZED (SELECT * FROM bridge_authenticate(%(prefix)s, %(digest)s) LIMIT 1)"
_SEES = "(k.client_id IS NULL OR {client} = k.client_id)"

LIST = f"""
    {_CALLER}
    SELECT '{{"bots":' || p.rows || ',"total":' || p.count || ',"next":null}}'
      FROM caller k CROSS JOIN LATERAL ({
    bots.page_statement(
        "b.retired_at IS NULL AND c.account_identifier = %(account)s AND c.retired_at IS NULL "
        "AND b.runtime_kind <> 'arena' AND " + _SEES.format(client="b.client_id")
    )
}) p
"""

WALLET = f"""
    {_CALLER}
    SELECT p.json FROM caller k CROSS JOIN LATERAL ({
    clients.wallet_statement("c.retired_at IS NULL AND " + _SEES.format(client="c.id"))
}) p(json)
"""

CREATE = f"""
    {_CALLER},
    owner AS (
        SELECT c.id FROM clients c, caller k WHERE c.account_identifier = %(account)s AND c.retired_at IS NULL
           AND {_SEES.format(client="c.id")} FOR NO KEY UPDATE OF c),
    b AS (
        INSERT INTO bots (id, client_id, connector_id, connector_name, name, pair, strategy, config, runtime_kind,
                          desired_status, desired_by, desired_reason, reported_by, source, source_id, deletion_requested_by)
        SELECT %(id)s, o.id, (SELECT n.id FROM connectors n WHERE n.client_id = o.id AND n.name = %(connector)s
                                 AND n.retired_at IS NULL),
               %(connector)s, %(name)s, %(pair)s, %(strategy)s, %(config)s, 'hummingbot', 'created', '', '', '', '', '', ''
          FROM owner o RETURNING *),
    h AS (
        INSERT INTO bot_health (bot_id, client_id, status, message, heartbeat_status, evidence, thresholds)
        SELECT b.id, b.client_id, 'unknown', 'Not checked yet.', '', '[]', '{{}}' FROM b RETURNING *)
    SELECT row_to_json(t)::text FROM (
        SELECT {bots.COLUMNS} FROM b {bots.JOINS.replace("LEFT JOIN bot_health h", "LEFT JOIN h")}) t
"""
