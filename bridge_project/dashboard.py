"""What the admin's front page and its sidebar show."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from alerts.admin import severity_badge
from alerts.selectors import open_incidents
from bots.admin import bot_badge, with_status
from bots.models import Bot, BotDeployment, HummingbotState
from bots.rules.words import OPEN_DEPLOYMENTS, DeploymentStatus, HealthStatus
from clients.admin_base import COUNT_AT_MOST, ago
from clients.models import Client
from health.admin import health_badge
from health.rules.words import BADGES

TROUBLED = (HealthStatus.ERROR, HealthStatus.STOPPED, HealthStatus.STALE)
SHOWN = 8


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, in the order of a day's work."""
    return [
        {"items": [_item("Dashboard", "dashboard", "index")]},
        {
            "title": "Desk",
            "separator": True,
            "items": [
                _item("Bots", "smart_toy", "bots_bot_changelist"),
                _item("Clients", "group", "clients_client_changelist"),
                _item("Connectors", "cable", "clients_connector_changelist"),
                _item("Wallets", "account_balance_wallet", "clients_wallet_changelist"),
                _item("API keys", "key", "clients_apikey_changelist"),
            ],
        },
        {
            "title": "Strategies",
            "separator": True,
            "items": [
                _item("Strategies", "trending_up", "strategies_activestrategy_changelist"),
                _item("What ran", "history", "strategies_strategyhistory_changelist"),
                _item("Versions", "difference", "strategies_strategyversion_changelist"),
                _item("Restores", "restart_alt", "strategies_restorerun_changelist"),
                _item("Bots coming back", "healing", "bots_botrecovery_changelist"),
            ],
        },
        {
            "title": "Health",
            "separator": True,
            "items": [
                _item("Incidents", "notification_important", "alerts_incident_changelist", "?state=open"),
                _item("Verdicts", "monitor_heart", "bots_bothealth_changelist"),
                _item("Changes of verdicts", "swap_horiz", "health_healthtransition_changelist"),
                _item("Uptime by day", "calendar_month", "health_uptimeday_changelist"),
                _item("Log of checks", "receipt_long", "health_bothealthlog_changelist"),
                _item("Checks asked for", "front_hand", "health_checkrequest_changelist"),
                _item("Heartbeats", "favorite", "health_heartbeatlog_changelist"),
                _item("Heartbeat plans", "event_repeat", "health_heartbeatplan_changelist"),
                _item("Learned cadence", "timeline", "health_botcadence_changelist"),
                _item("Exchanges and keys", "electrical_services", "health_exchangecircuit_changelist"),
                _item("Gaps in trades", "space_bar", "health_tradegap_changelist"),
                _item("Rounds", "autorenew", "health_healthround_changelist"),
                _item("The watcher", "visibility", "health_healthstate_changelist"),
                _item("Limits", "tune", "health_healthsettings_changelist"),
            ],
        },
        {
            "title": "Alerts",
            "separator": True,
            "items": [
                _item("Channels and rules", "campaign", "alerts_alertchannel_changelist"),
                _item("Messages", "outgoing_mail", "alerts_alertdelivery_changelist"),
                _item("Maintenance", "engineering", "alerts_maintenancewindow_changelist"),
                _item("Snoozed", "snooze", "alerts_snooze_changelist"),
                _item("Since the start", "power_settings_new", "alerts_alertsstate_changelist"),
                _item("How alerts are kept", "tune", "alerts_alertssettings_changelist"),
            ],
        },
        {
            "title": "Ledger",
            "separator": True,
            "items": [
                _item("Trades", "swap_vert", "ledger_trade_changelist"),
                _item("Positions", "stacked_line_chart", "ledger_position_changelist", "?status=open"),
                _item("Positions by day", "calendar_month", "ledger_positionday_changelist"),
                _item("Decisions", "psychology", "ledger_botdecision_changelist"),
                _item("Boards", "leaderboard", "ledger_leaderboardentry_changelist"),
                _item("Accounts", "savings", "ledger_botaccount_changelist"),
                _item("Snapshots", "photo_camera", "ledger_botstatesnapshot_changelist"),
                _item("Equity by hour and day", "show_chart", "ledger_equitybucket_changelist"),
                _item("Trading by hour", "bar_chart", "ledger_bottradehour_changelist"),
                _item("Trading by day and month", "calendar_view_month", "ledger_bottradespan_changelist"),
                _item("Fees", "payments", "ledger_botfee_changelist"),
                _item("Imports", "upload_file", "ledger_arenaimport_changelist"),
                _item("Kept documents", "folder_zip", "ledger_keptdocument_changelist"),
                _item("How it is kept", "tune", "ledger_ledgersettings_changelist"),
                _item("When it was kept", "schedule", "ledger_ledgerstate_changelist"),
            ],
        },
        {
            "title": "Arena",
            "separator": True,
            "items": [
                _item("Participants", "sports_kabaddi", "arena_participant_changelist"),
                _item("Kill switch", "front_hand", "arena_halt_changelist", "?is=standing"),
                _item("Prompts", "edit_note", "arena_promptversion_changelist"),
                _item("Turns", "cycle", "arena_arenaturn_changelist"),
                _item("Model providers", "neurology", "arena_llmprovider_changelist"),
                _item("Model calls", "forum", "arena_llmcall_changelist"),
                _item("Budgets", "account_balance", "arena_clientbudget_changelist"),
                _item("Spent on models", "receipt", "arena_llmspend_changelist"),
                _item("Markets and prices", "price_change", "arena_arenamarket_changelist"),
                _item("Summaries", "summarize", "arena_historysummary_changelist"),
                _item("Shadow runs", "compare", "arena_shadowrun_changelist"),
                _item("Arena settings", "tune", "arena_arenasettings_changelist"),
            ],
        },
        {
            "title": "Hummingbot",
            "separator": True,
            "items": [
                _item("Connection", "lan", "bots_hummingbotstate_changelist"),
                _item("Deployments", "rocket_launch", "bots_botdeployment_changelist"),
                _item("What runs", "sensors", "bots_botruntime_changelist"),
                _item("Drift", "difference", "bots_botdrift_changelist", "?state=now"),
                {"title": "Before a redeploy", "icon": "fact_check", "link": reverse("preflight")},
                _item("Unmanaged", "person_off", "bots_unmanagedinstance_changelist"),
                _item("Recover definitions", "healing", "bots_recoverysurvey_changelist"),
                _item("Accounts there", "badge", "bots_hummingbotcredential_changelist"),
                _item("Templates", "schema", "bots_bottemplate_changelist"),
                _item("Polling", "timer", "bots_botssettings_changelist"),
            ],
        },
        {
            "title": "Records",
            "separator": True,
            "items": [
                _item("Audit", "policy", "clients_auditentry_changelist"),
                _item("Operators", "manage_accounts", "auth_user_changelist"),
                {"title": "API reference", "icon": "api", "link": "/api/docs"},
            ],
        },
    ]


def _item(title: str, icon: str, name: str, query: str = "") -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse(f"admin:{name}") + query}


def environment(request: HttpRequest) -> list[str] | None:
    """A mark in the head of every page of the demo."""
    return ["Demo", "warning"] if settings.DEMO else None


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """How many bots carry which verdict, what is wrong, who needs somebody, and what Hummingbot is doing."""
    bots = Bot.objects.filter(retired_at=None).exclude(runtime_kind="arena")
    counted = dict(bots.values_list("health__status").annotate(n=Count("id")).order_by())
    counted[HealthStatus.UNKNOWN] = counted.pop(None, 0) + counted.get(HealthStatus.UNKNOWN, 0)
    address = reverse("admin:bots_bot_changelist")
    hummingbot = HummingbotState.objects.filter(id=1).first() if settings.HUMMINGBOT_API_URL else None
    return context | {
        "title": "Dashboard",
        "total": sum(counted.values()),
        "clients": Client.objects.filter(retired_at=None).count(),
        "tiles": [
            {
                "label": shown.label,
                "color": shown.color,
                "says": shown.meaning,
                "count": counted.get(word, 0),
                "link": f"{address}?health={word}",
            }
            for word, shown in BADGES.items()
        ],
        "incidents": [_incident(incident) for incident in open_incidents()[:SHOWN]],
        "open_incidents": open_incidents().order_by()[:COUNT_AT_MOST].count(),
        "troubled": [_row(bot) for bot in _troubled(bots)],
        "changed": [_row(bot) for bot in _changed(bots)],
        "deployments": BotDeployment.objects.filter(status__in=OPEN_DEPLOYMENTS)
        .exclude(status=DeploymentStatus.LIVE)
        .select_related("bot")
        .order_by("-created_at")[:SHOWN],
        "hummingbot": hummingbot,
        "hummingbot_at": ago(hummingbot.last_ok_at) if hummingbot else "",
        "hummingbot_configured": bool(settings.HUMMINGBOT_API_URL),
    }


def _troubled(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """Those wanted running whose verdict is not good, the freshest trouble first."""
    found = bots.filter(desired_status="running", health__status__in=TROUBLED).select_related("client", "health")
    return with_status(found).order_by("-health__status_updated_at")[:SHOWN]


def _changed(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """Those whose verdict changed last."""
    known = bots.filter(health__checked_at__isnull=False).select_related("client", "health")
    return with_status(known).order_by("-health__status_updated_at")[:SHOWN]


def _incident(incident: Any) -> dict[str, Any]:
    return {
        "title": incident.title,
        "link": reverse("admin:alerts_incident_change", args=[incident.id]),
        "level": severity_badge(incident.severity),
        "about": incident.client.account_identifier if incident.client else "",
        "since": ago(incident.opened_at),
        "taken_on_by": incident.acknowledged_by,
    }


def _row(bot: Any) -> dict[str, Any]:
    return {
        "name": bot.name,
        "account": bot.client.account_identifier,
        "where": f"{bot.pair} on {bot.connector_name}",
        "link": reverse("admin:bots_bot_change", args=[bot.id]),
        "status": bot_badge(bot),
        "health": health_badge(bot.health.status),
        "message": bot.health.message,
        "since": ago(bot.health.status_updated_at),
    }
