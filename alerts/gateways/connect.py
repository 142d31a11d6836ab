"""The way out of one channel, as this installation is configured."""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone

from alerts.gateways.apprise import AppriseGateway
from alerts.gateways.email import EmailGateway, MailServer
from alerts.gateways.message import ChannelGateway
from alerts.gateways.webhook import WebhookGateway
from alerts.rules.words import ChannelKind
from ground.encrypted import Sealed


def open_channel(kind: ChannelKind, address: Sealed, signing_key: Sealed | None) -> ChannelGateway:
    """The gateway of a channel's kind. Raises Undecryptable."""
    if kind == ChannelKind.WEBHOOK:
        return WebhookGateway(address.open(), signing_key.open() if signing_key else "", clock=timezone.now)
    if kind == ChannelKind.EMAIL:
        return EmailGateway(address.open(), configured_mail_server())
    return AppriseGateway(address.open())


def configured_mail_server() -> MailServer | None:
    """The mail server of EMAIL_URL, or None where there is none."""
    if not settings.EMAIL_HOST:
        return None
    return MailServer(
        host=settings.EMAIL_HOST,
        port=settings.EMAIL_PORT,
        security="tls" if settings.EMAIL_USE_SSL else "starttls" if settings.EMAIL_USE_TLS else "none",
        sender=settings.DEFAULT_FROM_EMAIL,
        user=settings.EMAIL_HOST_USER,
        password=settings.EMAIL_HOST_PASSWORD,
    )
