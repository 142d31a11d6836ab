"""A plain e-mail through the mail server of this installation."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_LINES
from email.utils import formatdate, parseaddr
from typing import NoReturn

from alerts.gateways.message import Message, within
from alerts.rules.words import Severity
from ground.errors import BadCredentials, GatewayError, RateLimited, Rejected, Unavailable, UnknownOutcome

SYSTEM = "mail server"
TIMEOUT_S = 20.0
STEP_TIMEOUT_S = 10.0
_IMPORTANT = {"Importance": "high", "X-Priority": "1"}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over. ``security`` is "tls" (from the first byte), "starttls" (required) or "none"."""

    host: str
    port: int
    security: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


class EmailGateway:
    """Mail to one or more addresses, separated by commas, as one message."""

    def __init__(self, address: str, server: MailServer | None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._recipients = [part.strip() for part in address.split(",") if part.strip()]
        self._server = server
        self._timeout_s = timeout_s

    def send(self, message: Message) -> str:
        server = self._server
        if server is None:
            raise Unavailable("No mail server is configured: set EMAIL_URL and EMAIL_FROM.", system=SYSTEM)
        mail = compose(message, sender=server.sender, recipients=self._recipients)
        refused = within(self._timeout_s, lambda: _hand_over(server, mail, self._recipients), system=SYSTEM)
        return f"{refused} of {len(self._recipients)} addresses were refused by the mail server." if refused else ""


def compose(message: Message, *, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The mail. What is sent again has the same Message-ID; the mails about one incident are one conversation."""
    mail = EmailMessage(policy=SMTP_LINES)
    try:
        mail["From"], mail["To"] = sender, ", ".join(recipients)
    except (ValueError, IndexError):
        raise Rejected("The channel's mail addresses cannot be used.", system=SYSTEM) from None
    mail["Subject"] = re.sub(r"[\s\x00-\x1f\x7f]+", " ", message.title).strip()
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{message.delivery_id}@bridge>"
    mail["Bridge-Delivery"] = str(message.delivery_id)
    mail["Auto-Submitted"] = "auto-generated"  # no holiday notes back
    if message.incident_id:
        mail["References"] = f"<incident-{message.incident_id}@bridge>"
    if message.severity == Severity.CRITICAL:
        for name, value in _IMPORTANT.items():
            mail[name] = value
    mail.set_content(message.body.replace("\x00", ""))
    return mail


def _hand_over(server: MailServer, mail: EmailMessage, recipients: Sequence[str]) -> int:
    """How many of the addresses were refused while others were taken."""
    try:
        connection = _connect(server)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        _raise_for_connecting(error)
    try:
        refused = connection.send_message(mail, from_addr=parseaddr(server.sender)[1], to_addrs=recipients)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        _raise_for_sending(error)
    finally:
        connection.close()  # without a goodbye: it was taken or not, whatever the server would still say
    return len(refused)


def _connect(server: MailServer) -> smtplib.SMTP:
    # Our name is the sender's domain: asking the resolver for this machine's name can take many seconds.
    name = parseaddr(server.sender)[1].rpartition("@")[2]
    if server.security == "tls":
        return _logged_in(
            smtplib.SMTP_SSL(
                server.host, server.port, name, timeout=STEP_TIMEOUT_S, context=ssl.create_default_context()
            ),
            server,
        )
    connection = smtplib.SMTP(server.host, server.port, name, timeout=STEP_TIMEOUT_S)
    if server.security == "starttls":
        connection.starttls(context=ssl.create_default_context())
    return _logged_in(connection, server)


def _logged_in(connection: smtplib.SMTP, server: MailServer) -> smtplib.SMTP:
    if server.user:
        connection.login(server.user, server.password)
    return connection


def _raise_for_connecting(error: Exception) -> NoReturn:
    """``from None`` everywhere: what a server says can hold addresses and user names."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        raise BadCredentials(
            "The mail server refused our user name or password: check EMAIL_URL.", system=SYSTEM
        ) from None
    if isinstance(error, smtplib.SMTPNotSupportedError):
        raise Rejected(
            "The mail server offers no encryption or no login of a kind we know: check EMAIL_URL.", system=SYSTEM
        ) from None
    if isinstance(error, ssl.SSLError):
        raise Unavailable("The mail server's certificate cannot be trusted.", system=SYSTEM) from None
    if isinstance(error, smtplib.SMTPResponseException):
        raise Unavailable(f"The mail server turned us away ({error.smtp_code}).", system=SYSTEM) from None
    raise Unavailable("The mail server cannot be reached.", system=SYSTEM) from None


def _raise_for_sending(error: Exception) -> NoReturn:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        raise _refusal("every address", max(codes, default=550)) from None
    if isinstance(error, smtplib.SMTPSenderRefused):
        raise _refusal("the sender, EMAIL_FROM", error.smtp_code) from None
    if isinstance(error, smtplib.SMTPResponseException):
        raise _refusal("the message", error.smtp_code) from None
    if isinstance(error, smtplib.SMTPServerDisconnected | OSError):
        raise UnknownOutcome(
            "The mail server broke off in the middle; it may have taken the message.", system=SYSTEM
        ) from None
    raise Rejected("The mail server cannot take this message or its addresses.", system=SYSTEM) from None


def _refusal(what: str, code: int) -> GatewayError:
    if 400 <= code < 500:  # "try again later"
        return RateLimited(f"The mail server does not take {what} now ({code}).", system=SYSTEM)
    return Rejected(f"The mail server refused {what} ({code}).", system=SYSTEM)
