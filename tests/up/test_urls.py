from __future__ import annotations

import pytest
from redis.connection import parse_url

from bridge_project.up import urls


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_reads_a_providers_database_address(scheme: str) -> None:
    config = urls.database_config(f"{scheme}://us%40er:p%2Fw%3A@Db.Example.com:6543/rail%20way?sslmode=require")
    assert config == {
        "ENGINE": "django.db.backends.postgresql", "NAME": "rail way", "USER": "us@er", "PASSWORD": "p/w:",
        "HOST": "Db.Example.com", "PORT": "6543", "OPTIONS": {"sslmode": "require"},
    }  # fmt: skip


@pytest.mark.parametrize("folder", ["/run/bridge", "/A b/ü+%/c&d=1?#;"])
def test_socket_addresses_survive_any_folder_name(folder: str) -> None:
    database = urls.database_config(urls.socket_database_url(folder=folder, user="bridge", name="bridge"))
    assert (database["HOST"], database["USER"], database["NAME"]) == (folder, "bridge", "bridge")
    url = urls.socket_redis_url(f"{folder}/v.sock", database=3)
    client = parse_url(urls.redis_client_url(url))
    assert (client["path"], client["db"]) == (f"{folder}/v.sock", 3)


def test_socket_host_in_the_authority_keeps_its_letter_case() -> None:
    assert urls.database_config("postgresql://u@%2FVar%2Frun/x")["HOST"] == "/Var/run"


@pytest.mark.parametrize(
    "url",
    ["mysql://a/b", "postgresql://u:hidden@h", "postgres://u:hidden@h:99999/x", "postgres://u:hidden@h/x?ssl=yes",
     "postgres://u:hidden@[::1/x", "hidden"],
)  # fmt: skip
def test_bad_database_address_is_a_sentence_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="the address") as raised:
        urls.database_config(url)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["http://h", "redis://", "redis://h:x/0", "unix://", "redis+socket:///a?virtual_host=b"]
)
def test_bad_broker_address_is_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="the address"):
        urls.broker_url(url)
