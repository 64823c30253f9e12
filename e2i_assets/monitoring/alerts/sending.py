"""Sending a notice over a channel. What goes wrong is told without addresses, secrets and servers' words."""

from __future__ import annotations

import json
import logging
import os
import re
import smtplib
import ssl
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.error import HTTPError, URLError

from e2i_assets.errors import E2IError
from e2i_assets.monitoring.alerts.config import ChannelName, Channels, EmailChannel, WebhookChannel
from e2i_assets.monitoring.alerts.notice import Notice

LOG = logging.getLogger("e2i.alerts")
LOG.setLevel(logging.WARNING)  # whatever a command silences
STEPS = 3
"""Of a channel's `timeout_seconds`, each of which an exchange with its server may take in all."""
TOO_LATE = "the server did not answer in time"


class ChannelFailed(E2IError, RuntimeError):
    """A channel took no notice: it is not set up, not reached, or refuses."""

    code = "channel_failed"
    next_step = "Mend it and try: e2i alerts test --channel NAME. What is not sent is tried again by itself."
    on_data = False


def send(notice: Notice, channel: ChannelName, channels: Channels) -> None:
    """Send a notice once; it has been sent when this returns.

    Raises:
        ChannelFailed: it was not taken. Where the connection broke it may have been: its key says so.
    """
    if channel == "log":
        LOG.warning("%s\n%s", notice.title, notice.text)
        return
    of = getattr(channels, channel)
    if channel == "email":
        _in_time(of.timeout_seconds, lambda: _mail(of, notice))
    else:
        document = notice.document() if channel == "webhook" else notice.slack()
        _in_time(of.timeout_seconds, lambda: _post(of, document, notice.key))


def _in_time(seconds: float, sending: Callable[[], None]) -> None:
    """Send in a thread that is left alone once its time is over.

    A connection's own limit is for each read: of a server that trickles none is ever too late.
    """
    outcome: SimpleQueue[Exception | None] = SimpleQueue()

    def begin() -> None:
        try:
            sending()
        except Exception as error:  # noqa: BLE001 -- raised by whoever waits for it
            outcome.put(error)
        else:
            outcome.put(None)

    Thread(target=begin, daemon=True).start()
    try:
        error = outcome.get(timeout=STEPS * seconds)
    except Empty:
        raise ChannelFailed(TOO_LATE) from None
    if error is not None:
        raise error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An address that leads elsewhere would be told to whoever is there."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(channel: WebhookChannel, document: dict[str, Any], key: str) -> None:
    url = _secret(channel.url_from)
    if not re.match(r"https?://[^/?#@\s]+([/?#]|$)", url, re.IGNORECASE):
        raise ChannelFailed(f"{channel.url_from} holds no http or https address, or one with a login")
    headers = {"Content-Type": "application/json", "Idempotency-Key": key, "User-Agent": "e2i-assets"}
    try:
        request = urllib.request.Request(url, json.dumps(document).encode(), headers, method="POST")
        # Not httpx, which logs addresses: that of Slack's webhook is its password.
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=channel.timeout_seconds):
            return
    except HTTPError as error:
        raise ChannelFailed(f"the server answered {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise ChannelFailed(_reason(error)) from None


def _mail(channel: EmailChannel, notice: Notice) -> None:
    password = _secret(channel.password_from) if channel.user else None
    try:
        mail = notice.email(channel.sender, channel.recipients)
        with _server(channel) as server:
            if channel.user and password:
                server.login(channel.user, password)
            refused = server.send_message(mail)
    except smtplib.SMTPResponseException as error:
        what = "the login" if isinstance(error, smtplib.SMTPAuthenticationError) else "the mail"
        raise ChannelFailed(f"the server refused {what} ({error.smtp_code})") from None
    except smtplib.SMTPRecipientsRefused as error:
        raise ChannelFailed(f"the server refused all {len(error.recipients)} recipients") from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise ChannelFailed(_reason(error)) from None
    if refused:
        LOG.warning("%d of %d recipients were refused", len(refused), len(channel.recipients))


def _server(channel: EmailChannel) -> smtplib.SMTP:
    """A session with the server, encrypted where it is to be: one without that is refused."""
    context = ssl.create_default_context()
    if channel.security == "tls":
        return smtplib.SMTP_SSL(channel.host, channel.port, timeout=channel.timeout_seconds, context=context)
    server = smtplib.SMTP(channel.host, channel.port, timeout=channel.timeout_seconds)
    try:
        if channel.security == "starttls":
            server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _secret(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ChannelFailed(
            f"{variable} is not set",
            "Set it where alerts are sent from (`e2i up`, or Dagster's daemon), and start that again.",
        )
    return value


def _reason(error: Exception) -> str:
    """Why a server was not reached, by kind: texts may repeat addresses."""
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    if isinstance(cause, TimeoutError):
        return TOO_LATE
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "the server's certificate is not trusted (SSL_CERT_FILE names others)"
    if isinstance(cause, ssl.SSLError):
        return "no encrypted connection came about"
    if isinstance(cause, smtplib.SMTPNotSupportedError):
        return "the server does not know STARTTLS, or no login"
    if isinstance(cause, ConnectionError):
        return "the connection was refused or broke off"
    return f"the server was not reached ({type(cause).__name__})"
