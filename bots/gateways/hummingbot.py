"""Hummingbot's API, every call the bridge makes of it.

Reads raise Unavailable, RateLimited, BadCredentials or Rejected. Writes also raise UnknownOutcome: the request was sent
and no readable answer came back, so the caller must look before it asks again. "Published" means that a command went to
Hummingbot's message broker, never that a bot obeyed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from bots.gateways import shapes
from bots.gateways.refusals import raise_for_credential, raise_for_deploy, raise_for_refusal
from bots.gateways.transport import SYSTEM, Answer, Call, JsonTransport, detail_of, lost
from bots.types import (
    ApiVersion,
    ArchivedSummary,
    ArchiveStarted,
    BotRun,
    CommandPublished,
    Container,
    Deployed,
    InstanceStatus,
    InstanceTrade,
    MessageBroker,
    NamedConfig,
    PerformanceSnapshot,
    TemplateField,
)
from ground.errors import Rejected, Unavailable

T = TypeVar("T")


class HummingbotGateway:
    """One Hummingbot API. Holds no connection and no state: safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        username: str,
        password: str,
        *,
        timeout_s: float = 10.0,
        connect_timeout_s: float = 3.0,
        deadline: float | None = None,
    ) -> None:
        """``timeout_s`` is for one call; ``deadline``, of time.monotonic, for all of them."""
        self._transport = JsonTransport(
            base_url, username, password, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, deadline=deadline
        )

    def remaining_s(self) -> float:
        """Seconds until the deadline; infinite without one."""
        return self._transport.remaining_s()

    # The API itself, its broker and its containers

    def version(self) -> ApiVersion:
        def read(body: object) -> ApiVersion:
            fields = shapes.mapping(body)
            return ApiVersion(name=shapes.text(fields.get("name")), version=shapes.text(fields.get("version")))

        return self._ask(Call("GET", "/"), read)

    def statuses(self) -> dict[str, InstanceStatus]:
        """Every bot Hummingbot has in mind now, by name. A bot that is missing here may well be trading."""

        def read(body: object) -> dict[str, InstanceStatus]:
            bots = shapes.mapping(shapes.enveloped(body))
            return {name: shapes.instance_status(name, value) for name, value in bots.items()}

        return self._ask(Call("GET", "/bot-orchestration/status"), read)

    def instance_status(self, instance_name: str) -> InstanceStatus | None:
        """One bot; None when Hummingbot does not list it."""

        def read(body: object) -> InstanceStatus | None:
            status = shapes.instance_status(instance_name, shapes.enveloped(body))
            return None if status.word == "not_found" else status

        return self._ask(Call("GET", f"/bot-orchestration/{_segment(instance_name)}/status"), read)

    def message_broker(self) -> MessageBroker:
        return self._ask(
            Call("GET", "/bot-orchestration/mqtt"), lambda body: shapes.message_broker(shapes.enveloped(body))
        )

    def active_containers(self) -> tuple[Container, ...]:
        return self._ask(Call("GET", "/docker/active-containers"), _containers)

    def exited_containers(self) -> tuple[Container, ...]:
        return self._ask(Call("GET", "/docker/exited-containers"), _containers)

    def is_docker_running(self) -> bool:
        def read(body: object) -> bool:
            if not isinstance(body, bool):
                raise shapes.ShapeError("true or false was expected")
            return body

        return self._ask(Call("GET", "/docker/running"), read)

    # Records

    def bot_runs(self, *, instance_name: str | None = None, limit: int = 100, offset: int = 0) -> tuple[BotRun, ...]:
        """Hummingbot's log of deploys, newest first. Shorter than ``limit`` means that it was the last page."""
        query = {"limit": str(limit), "offset": str(offset)}
        if instance_name is not None:
            query["bot_name"] = instance_name

        def read(body: object) -> tuple[BotRun, ...]:
            return tuple(shapes.bot_run(item) for item in shapes.sequence(shapes.enveloped(body)))

        return self._ask(Call("GET", "/bot-orchestration/bot-runs", query=query), read)

    def archived_bots(self) -> tuple[str, ...]:
        """Paths of the databases that archived bots left; the folder behind "archived" bears the instance's name."""
        return self._ask(Call("GET", "/archived-bots/"), shapes.texts)

    def archived_summary(self, path: str) -> ArchivedSummary:
        """Where an archived bot has traded. Rejected for an unknown path."""
        return self._ask(Call("GET", f"/archived-bots/{quote(path)}/summary"), shapes.archived_summary)

    def trades_of(self, instance_name: str, *, days: int = 1, timeout_s: float = 5.0) -> tuple[InstanceTrade, ...]:
        """Executions a live bot has recorded itself. It refreshes "recently_active": never a probe for life."""
        call = Call(
            "GET",
            f"/bot-orchestration/{_segment(instance_name)}/history",
            query={"days": str(days), "verbose": "false", "timeout": str(timeout_s)},
        )

        def read(body: object) -> tuple[InstanceTrade, ...]:
            response = shapes.mapping(shapes.enveloped(body, "response"))
            if response.get("success") is not True:
                if response.get("timeout") is True:
                    raise Unavailable(f"The bot {instance_name} did not answer Hummingbot in time.", system=SYSTEM)
                raise Rejected(f"Hummingbot does not know the bot {instance_name}.", system=SYSTEM)
            message = shapes.mapping(shapes.mapping(response.get("data")).get("data"))
            return tuple(shapes.instance_trade(item) for item in shapes.sequence(message.get("trades")))

        return self._ask(call, read, timeout_s=timeout_s + 5.0)

    def latest_performance(self) -> tuple[PerformanceSnapshot, ...]:
        """The newest stored report of each controller, the only performance that outlives a bot."""

        def read(body: object) -> tuple[PerformanceSnapshot, ...]:
            return tuple(shapes.performance_snapshot(item) for item in shapes.sequence(shapes.enveloped(body)))

        return self._ask(Call("GET", "/bot-orchestration/controller-performance-latest"), read)

    # Deploy, start, stop, retire

    def deploy_controllers(
        self, *, instance_name: str, account: str, controllers: list[str], timeout_s: float | None = None
    ) -> Deployed:
        """A new container that runs stored controller configs. Each call makes another one: never repeat it."""
        body = {
            "instance_name": instance_name,
            "credentials_profile": account,
            "controllers_config": controllers,
            "headless": True,
        }
        return self._deploy(Call("POST", "/bot-orchestration/deploy-v2-controllers", body=body), timeout_s)

    def deploy_script(
        self,
        *,
        instance_name: str,
        account: str,
        script: str,
        script_config: str | None,
        timeout_s: float | None = None,
    ) -> Deployed:
        body = {
            "instance_name": instance_name,
            "credentials_profile": account,
            "script": script,
            "script_config": script_config,
            "headless": True,
        }
        return self._deploy(Call("POST", "/bot-orchestration/deploy-v2-script", body=body), timeout_s)

    def start_strategy(self, instance_name: str, *, script: str, config: str) -> CommandPublished:
        body = {"bot_name": instance_name, "script": script, "conf": config, "async_backend": True}
        return self._publish("start", instance_name, body)

    def stop_strategy(self, instance_name: str) -> CommandPublished:
        """Ask the bot to stop and to cancel its open orders. Idempotent."""
        body = {"bot_name": instance_name, "skip_order_cancellation": False, "async_backend": True}
        return self._publish("stop", instance_name, body)

    def stop_and_archive(self, instance_name: str) -> ArchiveStarted:
        """Stop, archive and remove a listed bot in the background, 20 to 40 s. Rejected when it is not listed."""
        call = Call(
            "POST",
            f"/bot-orchestration/stop-and-archive-bot/{_segment(instance_name)}",
            query={"skip_order_cancellation": "false", "archive_locally": "true"},
        )

        def read(body: object) -> ArchiveStarted:
            fields = shapes.mapping(body)
            if fields.get("status") == "error":
                # Its own words list every other active bot, so they stay here.
                raise Rejected(
                    f"Hummingbot cannot archive {instance_name}: it is not among its active bots.", system=SYSTEM
                )
            if fields.get("status") != "success":
                raise shapes.ShapeError("neither success nor error")
            details = fields.get("details")
            name = details.get("actual_bot_name") if isinstance(details, dict) else None
            return ArchiveStarted(instance_name=name if isinstance(name, str) else instance_name)

        return self._ask(call, read)

    # Configs

    def save_controller_config(self, name: str, content: Mapping[str, Any]) -> None:
        """Store or overwrite a config. Hummingbot validates nothing here."""
        self._ask(Call("POST", f"/controllers/configs/{_segment(name)}", body=dict(content)), shapes.mapping)

    def controller_config(self, name: str) -> NamedConfig:
        return self._ask(
            Call("GET", f"/controllers/configs/{_segment(name)}"), lambda body: shapes.named_config(body, name=name)
        )

    def instance_configs(self, instance_name: str) -> tuple[NamedConfig, ...]:
        """The controller configs in a deployed bot's own folder. Rejected when it has none (archived, or never there)."""
        return self._ask(Call("GET", f"/controllers/bots/{_segment(instance_name)}/configs"), _configs("_config_name"))

    def controller_configs(self) -> tuple[NamedConfig, ...]:
        return self._ask(Call("GET", "/controllers/configs/"), _configs("id"))

    def change_running_config(self, instance_name: str, name: str, changes: Mapping[str, Any]) -> None:
        """Merge keys into a deployed bot's own copy, which its controller reads again within some 10 s. Idempotent."""
        path = f"/controllers/bots/{_segment(instance_name)}/{_segment(name)}/config"
        self._ask(Call("POST", path, body=dict(changes)), shapes.mapping)

    def controller_template(self, controller_type: str, controller_name: str) -> tuple[TemplateField, ...]:
        path = f"/controllers/{_segment(controller_type)}/{_segment(controller_name)}/config/template"
        return self._ask(
            Call("GET", path),
            lambda body: tuple(shapes.template_field(name, value) for name, value in shapes.mapping(body).items()),
        )

    def validate_controller_config(
        self, controller_type: str, controller_name: str, content: Mapping[str, Any]
    ) -> None:
        """Rejected, with the fields named, when the controller's own class does not accept the config."""
        path = f"/controllers/{_segment(controller_type)}/{_segment(controller_name)}/config/validate"
        self._ask(Call("POST", path, body=dict(content)), shapes.mapping)

    def save_script_config(self, name: str, content: Mapping[str, Any]) -> None:
        self._ask(Call("POST", f"/scripts/configs/{_segment(name)}", body=dict(content)), shapes.mapping)

    def script_config(self, name: str) -> NamedConfig:
        return self._ask(
            Call("GET", f"/scripts/configs/{_segment(name)}"), lambda body: shapes.named_config(body, name=name)
        )

    def script_configs(self) -> tuple[NamedConfig, ...]:
        return self._ask(Call("GET", "/scripts/configs/"), _configs("config_name"))

    # Accounts and credentials

    def accounts(self) -> tuple[str, ...]:
        return self._ask(Call("GET", "/accounts/"), shapes.texts)

    def add_account(self, account: str) -> None:
        """Rejected when it is there already."""
        self._ask(Call("POST", "/accounts/add-account", query={"account_name": account}), shapes.mapping)

    def credentials(self, account: str) -> tuple[str, ...]:
        """Names of the connectors this account holds credentials for. Rejected for an unknown account."""
        return self._ask(Call("GET", f"/accounts/{_segment(account)}/credentials"), shapes.texts)

    def add_credentials(
        self, account: str, connector: str, secrets: Mapping[str, str], *, timeout_s: float = 30.0
    ) -> None:
        """Store keys, which Hummingbot first tries on the exchange, for seconds.

        Raises BadCredentials when the exchange refuses them, Unavailable when it could not be asked, Rejected for an
        unknown connector or field. No message holds a word of the answer: it could echo a key.
        """
        call = Call(
            "POST",
            f"/accounts/add-credential/{_segment(account)}/{_segment(connector)}",
            body=dict(secrets),
        )
        answer = self._transport.send(call, timeout_s=timeout_s)
        if answer.status >= 400:
            raise_for_credential(answer, account=account, connector=connector, call=call)
        self._read(call, answer, shapes.mapping)

    def delete_credentials(self, account: str, connector: str) -> None:
        """Forget the keys; it succeeds too where there are none."""
        path = f"/accounts/delete-credential/{_segment(account)}/{_segment(connector)}"
        self._ask(Call("POST", path), shapes.mapping)

    def _deploy(self, call: Call, timeout_s: float | None) -> Deployed:
        answer = self._transport.send(call, timeout_s=timeout_s)
        if answer.status >= 400:
            raise_for_deploy(answer, call)

        def read(body: object) -> Deployed:
            fields = shapes.mapping(body)
            if fields.get("success") is False:
                raise Rejected(
                    f"Hummingbot could not create the bot: {detail_of(body) or 'it gave no reason'}", system=SYSTEM
                )
            if fields.get("success") is not True:
                raise shapes.ShapeError("neither success nor failure")
            return Deployed(
                instance_name=shapes.text(fields.get("unique_instance_name")),
                controllers=shapes.texts(fields.get("controllers_deployed") or []),
            )

        return self._read(call, answer, read)

    def _publish(self, command: str, instance_name: str, body: Mapping[str, Any]) -> CommandPublished:
        def read(answer: object) -> CommandPublished:
            response = shapes.mapping(shapes.enveloped(answer, "response"))
            if response.get("success") is True:
                return CommandPublished(instance_name=instance_name, command=command)
            if response.get("success") is not False:
                raise shapes.ShapeError("neither success nor failure")
            if response.get("message"):
                raise Rejected(f"Hummingbot does not know the bot {instance_name}.", system=SYSTEM)
            raise Unavailable(
                f"Hummingbot could not pass on the {command}: its message broker seems to be away.", system=SYSTEM
            )

        return self._ask(Call("POST", f"/bot-orchestration/{command}-bot", body=dict(body)), read)

    def _ask(self, call: Call, read: Callable[[Any], T], *, timeout_s: float | None = None) -> T:
        answer = self._transport.send(call, timeout_s=timeout_s)
        if answer.status >= 400:
            raise_for_refusal(answer, call)
        return self._read(call, answer, read)

    def _read(self, call: Call, answer: Answer, read: Callable[[Any], T]) -> T:
        try:
            return read(answer.body)
        except shapes.ShapeError as error:
            raise lost(call, f"sent an answer of an unexpected shape ({error})") from None


def _containers(body: object) -> tuple[Container, ...]:
    # When the engine answers with an error, this is HTTP 200 with a text where the list is expected.
    return tuple(shapes.container(item) for item in shapes.sequence(body))


def _configs(name_key: str) -> Callable[[object], tuple[NamedConfig, ...]]:
    return lambda body: tuple(shapes.named_config(item, name_key=name_key) for item in shapes.sequence(body))


def _segment(name: str) -> str:
    return quote(name, safe="")
