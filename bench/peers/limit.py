"""Reference C, the limit: a psycopg pool, one statement per request, bytes straight to the socket.

The statement looks the key up, sets the tenant for row-level security, and builds the JSON; reads run the product's own
SQL, so what is left between the two is what Django, DRF and a transaction of several statements cost. No validation, no
error handling. Served by granian as the product is: WSGI, 2 workers of 4 threads.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge_project.settings")
django.setup()  # only to read the product's SQL

from django.conf import settings  # noqa: E402
from psycopg_pool import ConnectionPool  # noqa: E402

from bench.peers import limit_sql  # noqa: E402

THREADS = 4


def _pool(kind: str) -> ConnectionPool[Any]:
    config = settings.DATABASES[kind]
    options = {
        "host": config["HOST"], "dbname": config["NAME"], "user": config["USER"], "password": config["PASSWORD"],
        "autocommit": True, "prepare_threshold": 0,
    }  # fmt: skip
    return ConnectionPool(kwargs=options, min_size=0, max_size=THREADS, open=True)


_POOLS = {"tbo": _pool("operator"), "tbc": _pool("client")}
_BASE = {"silent_polls": limit_sql.SILENT_POLLS, "poll_s": settings.HUMMINGBOT_POLL_SECONDS, "pair_shown": None}
_JSON = [("Content-Type", "application/json")]


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    token = environ["HTTP_AUTHORIZATION"][7:]
    prefix = token[:14]
    given = {"prefix": prefix, "digest": hashlib.sha256(token.encode()).hexdigest()}
    path = environ["PATH_INFO"]
    if path == "/bots":
        sql = limit_sql.LIST
        given |= _BASE | {"account": parse_qs(environ["QUERY_STRING"])["account"][0], "limit": 5000}
    elif path == "/bots/create":
        sql = limit_sql.CREATE
        body = json.loads(environ["wsgi.input"].read())
        given |= _BASE | body | {"config": json.dumps(body["config"]), "id": uuid.uuid4()}
    else:
        sql, given = limit_sql.WALLET, given | {"key": path.rpartition("/")[2].lower()}
    with _POOLS[prefix[:3]].connection() as connection:
        row = connection.execute(sql, given).fetchone()
    answer = row[0].encode() if row else b"{}"
    status = "201 Created" if path == "/bots/create" else "200 OK" if row else "404 Not Found"
    start_response(status, [*_JSON, ("Content-Length", str(len(answer)))])
    return [answer]
