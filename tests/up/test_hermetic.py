from __future__ import annotations

import os

import redis
from django.db import connection


def test_this_run_has_servers_of_its_own(database: None, broker: redis.Redis) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_setting('fsync')")
        user, fsync = cursor.fetchone()
    assert (user, fsync) == ("bridge", "off")
    assert "bridge-" in os.environ["BRIDGE_HOME"]
    assert broker.config_get("appendonly")["appendonly"] == "no"
