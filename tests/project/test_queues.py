"""Each task has its queue by name, however it is sent, and for each queue there is a process that works on it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import redis

from bridge_project.celery import app
from bridge_project.up import process
from bridge_project.up.__main__ import _programs

ARENA = {
    "arena.play_shadow",
    "arena.play_turn",
    "arena.summarise",
    "arena.test_provider",
}  # what waits for language models
NOW = {"alerts.send.now", "bridge_project.preflight.now", "health.check.now"}  # what a person waits for


def test_task_is_sent_to_the_queue_of_its_name(broker: redis.Redis) -> None:
    for name in our_tasks():
        app.send_task(name)
    sent = {queue: broker.lrange(f"bridge.{queue}", 0, -1) for queue in ("celery", "now", "arena")}
    found = {queue: {name for name in our_tasks() if holds(messages, name)} for queue, messages in sent.items()}
    assert found == {"celery": our_tasks() - ARENA - NOW, "now": NOW, "arena": ARENA}
    assert sum(map(len, sent.values())) == len(our_tasks()), "there is no other queue"


def test_every_queue_has_a_process_under_the_procfile_and_under_bin_up(tmp_path: Path) -> None:
    wanted = {"celery", "now", "arena"}
    on_a_platform = [process._command(name, home=tmp_path) for name in process.NAMES]
    assert queues_of(on_a_platform) == wanted
    options = argparse.Namespace(demo=False, host="127.0.0.1")
    at_home = _programs(options, home=tmp_path, port=8000, demo_port=0, stream_port=8001)
    assert queues_of(program.command for program in at_home) == wanted


def our_tasks() -> set[str]:
    app.loader.import_default_modules()
    return {name for name in app.tasks if not name.startswith("celery.")}


def holds(messages: list[bytes], name: str) -> bool:
    return any(f'"task": "{name}"'.encode() in message for message in messages)


def queues_of(commands: Iterable[list[str]]) -> set[str]:
    return {queue for words in commands if "-Q" in words for queue in words[words.index("-Q") + 1].split(",")}
