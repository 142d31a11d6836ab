"""Settings, read from the environment. ``bin/up`` and ``bin/manage`` prepare that environment (bridge_project/up)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from bots.rules import words
from bridge_project.admin_look import UNFOLD  # noqa: F401 - django-unfold reads it from here
from bridge_project.up.urls import broker_url, database_config, mail_config, redis_client_url
from exchanges.names import resolve
from ledger.rules import words as ledger_words

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def _setting(name: str, cast: Any, default: Any, *, must: str, holds: Any = lambda value: True) -> Any:
    """One value of the environment; a bad one stops the start with a sentence that names the variable."""
    raw = env.str(name, default="")
    if raw == "":
        return default
    try:
        value = cast(raw)
    except (ValueError, TypeError, InvalidOperation, json.JSONDecodeError):
        raise ImproperlyConfigured(f"{name} must be {must}.") from None
    if not holds(value):
        raise ImproperlyConfigured(f"{name} must be {must}.")
    return value


def _required(name: str) -> str:
    value: str = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. Start with bin/up or bin/manage, or set it in the environment.")
    return value


def _parsed(name: str, parse: Callable[[str], Any]) -> Any:
    """A required address, read by ``parse``, whose ValueError is a sentence without the password."""
    try:
        return parse(_required(name))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def _flag(name: str, *, default: bool = False) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    word = _setting(name, str.lower, None, must="1 or 0", holds=lambda value: value in words)
    return default if word is None else words[word]


def _address(name: str) -> str | None:
    def holds(value: str) -> bool:
        return urlsplit(value).scheme in ("http", "https") and bool(urlsplit(value).hostname)

    value: str | None = _setting(name, str, None, must="an http:// or https:// address", holds=holds)
    return value.rstrip("/") if value else None


def _minutes(name: str, default: str) -> Decimal:
    value: Decimal = _setting(
        name,
        Decimal,
        Decimal(default),
        must="a positive number of minutes (fractions allowed)",
        holds=lambda v: v.is_finite() and 0 < v <= 525600,
    )
    return value


def _seconds(name: str, default: int) -> int:
    value: int = _setting(
        name, int, default, must="a whole number of seconds from 1 to 86400", holds=lambda v: 1 <= v <= 86400
    )
    return value


def _list(name: str) -> list[str]:
    return [item.strip() for item in env.str(name, default="").split(",") if item.strip()]


# -- what the start prepared ------------------------------------------------------------------------------------------
SECRET_KEY = _required("DJANGO_SECRET_KEY")
ENCRYPTION_KEYS = [key.strip() for key in _required("BRIDGE_ENCRYPTION_KEYS").split(",") if key.strip()]
for _key in ENCRYPTION_KEYS:
    try:
        if len(base64.urlsafe_b64decode(_key)) != 32:
            raise ValueError
    except (ValueError, binascii.Error):
        raise ImproperlyConfigured(
            "BRIDGE_ENCRYPTION_KEYS must be Fernet keys (44 characters of base64), separated by commas, newest first."
        ) from None
BRIDGE_HOME = Path(env.str("BRIDGE_HOME", default=str(BASE_DIR / ".bridge")))
STORAGE = env.str("STORAGE", default="external")
DEMO = _flag("DEMO")
DEBUG = _flag("DEBUG")
VERSION = "0.1.0"

# -- database: the owner migrates; requests and workers log in as roles that own nothing --------------------------------
_owner = _parsed("DATABASE_URL", database_config)
DATABASE_ROLE_PREFIX = _setting(
    "DATABASE_ROLE_PREFIX",
    str,
    "bridge",
    must="1 to 40 characters of a-z, 0-9 and _",
    holds=lambda v: v.replace("_", "a").isalnum() and v.islower() and len(v) <= 40,
)


def role_name(kind: str) -> str:
    """The database login role of a kind: ``operator`` or ``client``."""
    return f"{DATABASE_ROLE_PREFIX}_{kind}"


def role_password(kind: str) -> str:
    """Made from the secret key, so that every process knows it and nobody has to store it."""
    return hmac.new(SECRET_KEY.encode(), f"database role {kind}".encode(), hashlib.sha256).hexdigest()


def _alias(**changes: Any) -> dict[str, Any]:
    # The hot statements are prepared (ground/sql.py); a pooler between us and the server may not carry that.
    options = {**_owner["OPTIONS"], "prepare_threshold": 5 if _flag("DATABASE_PREPARES", default=True) else None}
    return {
        **_owner,
        "OPTIONS": options,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        **changes,
    }


DATABASES = {
    "default": _alias(),
    "operator": _alias(USER=role_name("operator"), PASSWORD=role_password("operator"), TEST={"MIRROR": "default"}),
    "client": _alias(USER=role_name("client"), PASSWORD=role_password("client"), TEST={"MIRROR": "default"}),
}
DATABASE_ROUTERS = ["ground.scope.ScopeRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- broker and cache -----------------------------------------------------------------------------------------------
REDIS_URL = _parsed("REDIS_URL", redis_client_url)
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "bridge"}
}
CELERY_BROKER_URL = _parsed("REDIS_URL", broker_url)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    "unacked_restore_throttle": 1,
    "unacked_restore_interval": 10,
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "global_keyprefix": "bridge.",
}
CELERY_TASK_TIME_LIMIT = 110
CELERY_TASK_SOFT_TIME_LIMIT = 90
# What a person waits for, and what waits for language models, have workers of their own; the rest goes to "celery".
CELERY_TASK_ROUTES = {
    "*.now": {"queue": "now"},
    "arena.play_turn": {"queue": "arena"},
    "arena.summarise": {"queue": "arena"},
    "arena.play_shadow": {"queue": "arena"},
    "arena.test_provider": {"queue": "arena"},
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "pulse": {"task": "bridge_project.pulse", "schedule": 2.0, "options": {"expires": 10}},
    "plan-alerts": {"task": "alerts.plan", "schedule": 2.0, "options": {"expires": 10}},
    "send-alerts": {"task": "alerts.send", "schedule": 2.0, "options": {"expires": 10}},
    "poll-hummingbot": {"task": "bots.poll_hummingbot", "schedule": 1.0, "options": {"expires": 10}},
    "reconcile-bots": {"task": "bots.reconcile_bots", "schedule": 2.0, "options": {"expires": 10}},
    "take-surveys": {"task": "bots.take_surveys", "schedule": 5.0, "options": {"expires": 20}},
    "note-unmanaged": {"task": "bots.note_unmanaged", "schedule": 60.0, "options": {"expires": 50}},
    "look-for-drift": {"task": "bots.look_for_drift", "schedule": 10.0, "options": {"expires": 30}},
    "health-cycle": {"task": "health.start_due_checks", "schedule": 2.0, "options": {"expires": 10}},
    "learn-cadence": {"task": "health.learn_cadence", "schedule": 60.0, "options": {"expires": 50}},
    "fill-gaps": {"task": "health.fill_gaps", "schedule": 10.0, "options": {"expires": 30}},
    "health-sweep": {"task": "health.sweep", "schedule": 5.0, "options": {"expires": 20}},
    "count-uptime": {"task": "health.count_uptime", "schedule": 300.0, "options": {"expires": 200}},
    "follow-strategies": {"task": "strategies.follow_bots", "schedule": 2.0, "options": {"expires": 10}},
    "restore-strategies": {"task": "strategies.restore", "schedule": 2.0, "options": {"expires": 10}},
    "read-last-trades": {"task": "bridge_project.read_last_trades", "schedule": 5.0, "options": {"expires": 10}},
    "recover-strategies": {"task": "strategies.recover", "schedule": 30.0, "options": {"expires": 25}},
    "settle-strategies": {"task": "strategies.settle_history", "schedule": 10.0, "options": {"expires": 20}},
    "refresh-arena": {"task": "arena.refresh", "schedule": 2.0, "options": {"expires": 10}},
    "judge-arena": {"task": "arena.judge", "schedule": 10.0, "options": {"expires": 10}},
    "end-abandoned-calls": {"task": "arena.end_abandoned_calls", "schedule": 60.0, "options": {"expires": 50}},
    "claim-turns": {"task": "arena.claim_turns", "schedule": 2.0, "options": {"expires": 10}},
    "nudge-summaries": {"task": "arena.nudge_summaries", "schedule": 10.0, "options": {"expires": 20}},
    "nudge-shadows": {"task": "arena.nudge_shadows", "schedule": 2.0, "options": {"expires": 10}},
    "read-history": {"task": "arena.read_history", "schedule": 10.0, "options": {"expires": 10}},
    "thin-events": {"task": "arena.thin_events", "schedule": 600.0, "options": {"expires": 500}},
    "finish-deletions": {"task": "bridge_project.finish_deletions", "schedule": 5.0, "options": {"expires": 30}},
    "thin-records": {"task": "bridge_project.thin_records", "schedule": 3600.0, "options": {"expires": 600}},
    "take-snapshots": {"task": "ledger.take_snapshots", "schedule": 5.0, "options": {"expires": 20}},
    "refresh-boards": {"task": "ledger.refresh_boards", "schedule": 60.0, "options": {"expires": 50}},
    "refresh-intervals": {"task": "ledger.refresh_intervals", "schedule": 300.0, "options": {"expires": 200}},
    "verify-ledger": {"task": "ledger.verify_ledger", "schedule": 600.0, "options": {"expires": 500}},
    "thin-snapshots": {"task": "ledger.thin_snapshots", "schedule": 3600.0, "options": {"expires": 600}},
}
# On a busy machine whoever waits for Hummingbot does not wait behind everything else: those few go to the front (0) of the
# queue, the others take their turns.
USUAL_PRIORITY = 6
for _name, _tick in CELERY_BEAT_SCHEDULE.items():
    _tick["options"]["priority"] = 0 if _name in ("pulse", "poll-hummingbot", "restore-strategies") else USUAL_PRIORITY

# -- the outside world ----------------------------------------------------------------------------------------------
HUMMINGBOT_API_URL = _address("HUMMINGBOT_API_URL")
HUMMINGBOT_API_USERNAME = env.str("HUMMINGBOT_API_USERNAME", default="")
HUMMINGBOT_API_PASSWORD = env.str("HUMMINGBOT_API_PASSWORD", default="")
EXCHANGE_BASE_URLS: dict[str, str] = _setting(
    "EXCHANGE_BASE_URLS",
    json.loads,
    {},
    must='a JSON object of exchange id to base address, {"kucoin": "http://..."}',
    holds=lambda v: (
        isinstance(v, dict)
        and all(
            isinstance(k, str) and isinstance(u, str) and urlsplit(u).scheme in ("http", "https") for k, u in v.items()
        )
    ),
)
EXCHANGE_TIMEOUT_SECONDS = 8
MODEL_BASE_URLS: dict[str, str] = _setting(
    "MODEL_BASE_URLS",
    json.loads,
    {},
    must='a JSON object of a kind of model provider to base address, {"openai": "https://.../v1"}',
    holds=lambda v: (
        isinstance(v, dict)
        and all(
            k in ("openai", "anthropic", "google") and isinstance(u, str) and urlsplit(u).scheme in ("http", "https")
            for k, u in v.items()
        )
    ),
)
STREAM_PUBLIC_URL = _address("STREAM_PUBLIC_URL")  # where browsers find the stream; unset: they poll
STREAM_HEARTBEAT_SECONDS = _seconds("STREAM_HEARTBEAT_SECONDS", 15)
DEAD_MAN_URL = _address("DEAD_MAN_URL")  # asked for (GET) after each look at every bot; a secret

EMAIL_HOST = ""  # no mail server: channels of kind email say so
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="")
if env.str("EMAIL_URL", default=""):
    globals().update(_parsed("EMAIL_URL", mail_config))
    if "@" not in parseaddr(DEFAULT_FROM_EMAIL)[1]:
        raise ImproperlyConfigured('EMAIL_FROM must be a mail address ("Trading Bridge <bridge@example.com>").')

# -- defaults of values that an operator can change in the admin ------------------------------------------------------
HUMMINGBOT_POLL_SECONDS = _seconds("HUMMINGBOT_POLL_SECONDS", 10)
HEALTH_CHECK_INTERVAL_SECONDS = _seconds("HEALTH_CHECK_INTERVAL_SECONDS", 300)
STRATEGY_DEFAULT_EXCHANGE = _setting(
    "STRATEGY_DEFAULT_EXCHANGE",
    lambda value: value.strip().lower(),
    "binance",
    must="the name of an exchange (binance, kucoin, gate_io)",
    holds=lambda value: resolve(value).known,
)
STRATEGY_RESTORE_SPACING_SECONDS: Decimal = _setting(
    "STRATEGY_RESTORE_SPACING_SECONDS",
    Decimal,
    Decimal(1),
    must="a number of seconds from 0 to 3600 (fractions allowed)",
    holds=lambda value: value.is_finite() and 0 <= value <= 3600,
)
STALE_THRESHOLD_MINUTES = _minutes("STALE_THRESHOLD_MINUTES", "30")
STOPPED_THRESHOLD_MINUTES = _minutes("STOPPED_THRESHOLD_MINUTES", "120")
HEARTBEAT_TIMEOUT_MINUTES = _minutes("HEARTBEAT_TIMEOUT_MINUTES", "15")
if STALE_THRESHOLD_MINUTES > STOPPED_THRESHOLD_MINUTES:
    raise ImproperlyConfigured("STALE_THRESHOLD_MINUTES must not be greater than STOPPED_THRESHOLD_MINUTES.")

# -- Django ---------------------------------------------------------------------------------------------------------
ALLOWED_HOSTS = _list("ALLOWED_HOSTS") or ["*"]
CSRF_TRUSTED_ORIGINS = _list("CSRF_TRUSTED_ORIGINS")
CORS_ALLOWED_ORIGINS = _list("CORS_ALLOWED_ORIGINS")
CORS_ALLOW_HEADERS = ["authorization", "content-type", "idempotency-key", "x-wallet-address"]
CORS_EXPOSE_HEADERS = ["retry-after"]
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "axes",
    "csp",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "ground",
    "clients",
    "bots",
    "alerts",
    "ledger",
    "health",
    "strategies",
    "arena",
    "bridge_project.apps.BridgeProjectConfig",
]
MIDDLEWARE = [
    "bridge_project.middleware.RequestBoundary",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
]
APPEND_SLASH = False
ROOT_URLCONF = "bridge_project.urls"
WSGI_APPLICATION = "bridge_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "bridge_project.pages.demo_notice",
            ]
        },
    }
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"
LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BRIDGE_HOME / "static"
WHITENOISE_USE_FINDERS = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_COOKIES = _flag("SECURE_COOKIES")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _flag("TRUST_PROXY") else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'", *([STREAM_PUBLIC_URL] if STREAM_PUBLIC_URL else [])],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

# -- API ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "clients.authentication.ApiKeyAuthentication",
        "clients.authentication.OperatorSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["clients.authentication.IsKnown"],
    "DEFAULT_PARSER_CLASSES": ["ground.http.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["ground.http.ExactJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "bridge_project.api_errors.answer",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Trading Bridge",
    "DESCRIPTION": "Clients, wallets, exchange connectors and bots, and the truth about whether the bots trade.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False, "displayRequestDuration": True},
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "bridge_project.openapi.add_summaries",
    ],
    "ENUM_NAME_OVERRIDES": {
        "BotStatusEnum": [str(word) for word in words.BotStatus],
        "HealthStatusEnum": [str(word) for word in words.HealthStatus],
        "RuntimeKindEnum": [str(word) for word in words.RuntimeKind],
        "GivenRuntimeKindEnum": ["hummingbot", "external"],
        "ClientStatusEnum": ["active", "suspended"],
        "HeartbeatStatusEnum": ["running", "error", "stopped"],
        "StartedStatusEnum": ["started", "already_running", "starting"],
        "StoppedStatusEnum": ["stopped", "already_stopped", "stopping"],
        "DeletedStatusEnum": ["deleted", "deleting"],
        "ThresholdSourceEnum": ["bot", "learned", "settings", "environment"],
        "DirectionEnum": [str(word) for word in ledger_words.Action],
        "CauseEnum": [str(word) for word in ledger_words.Cause],
        "ModeEnum": [str(word) for word in ledger_words.Mode],
        "TradeTypeEnum": [str(word) for word in ledger_words.TradeType],
        "PositionStatusEnum": [str(word) for word in ledger_words.PositionStatus],
    },
}

LOG_LEVEL = _setting(
    "LOG_LEVEL",
    str.upper,
    "INFO",
    must="DEBUG, INFO, WARNING or ERROR",
    holds=lambda v: v in ("DEBUG", "INFO", "WARNING", "ERROR"),
)
SENTRY_DSN = _address("SENTRY_DSN")
if SENTRY_DSN:
    import sentry_sdk
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.django import DjangoIntegration

    from bridge_project.logs import veil_event

    # Local variables, bodies and the addresses of outside calls can hold keys and signatures: none of them leaves. Left to
    # itself it would load every library of language models into every process, to watch what is said to them.
    sentry_sdk.init(
        SENTRY_DSN,
        auto_enabling_integrations=False,
        integrations=[DjangoIntegration(), CeleryIntegration()],
        release=VERSION,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=veil_event,
    )
LOGGING_CONFIG = "bridge_project.logs.configure"
LOGGING: dict[str, Any] = {"level": LOG_LEVEL}
