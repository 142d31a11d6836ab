"""The benchmark's servers on tiny data: the product and its three references give the same answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import api, load
from bench.seed import plant
from bench.stage import Stage
from bench.works import WORKS

NEEDS = ("fastapi", "sqlalchemy", "psycopg2", "uvicorn", "gunicorn", "psycopg_pool")


@pytest.mark.long
def test_product_and_references_give_the_same_answers(prepared_home: Path) -> None:
    for module in NEEDS:
        pytest.importorskip(module, reason=f"{module} is not installed; bin/bench installs what the benchmarks need")
    size = api.Size(clients=40, bots=1_100, rounds=1, seconds=0, connections=1, compared=2)
    with Stage(forgetful=True) as ground:
        world = plant(ground.superuser(), clients=size.clients, bots=size.bots)
        hummingbot = api.start_hummingbot(ground)
        servers = api.start_servers(ground, hummingbot=hummingbot.port)
        for work in WORKS:
            api.compare(work, api.sides_of(work, servers), world, size)
            status, body = load.ask(servers[api.PRODUCT].port, next(work.requests(world)))
            assert status in (200, 201) and body, work.name
