"""`config/alerts.yaml`: channels, who is told over which of them, and how often."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from e2i_assets.config_files import ConfigModel, Text
from e2i_assets.modeling.config import YamlModel
from e2i_assets.monitoring.alerts.alert import Kind, Severity

FILE = "alerts.yaml"
"""Below the configuration folder."""
ChannelName = Literal["log", "webhook", "slack", "email"]
Variable: TypeAlias = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
"""Name of a variable of the environment."""
Address: TypeAlias = Annotated[str, Field(pattern=r"^[^@\s<>,]+@[^@\s<>,]+$")]


class Notices(ConfigModel):
    """How often a person is told of the same.

    Attributes:
        again_after_minutes: from a notice to the next of an alert that was raised again meanwhile.
        seconds_between: at least, between two notices of one subject, kind and severity.
        per_hour: of these at most in any 60 minutes.
    """

    again_after_minutes: float = Field(default=60, gt=0, le=525_600)
    seconds_between: float = Field(default=300, ge=0, le=3600)
    per_hour: int = Field(default=20, ge=1)


class LogChannel(ConfigModel):
    """A line in the log of the process that sends.

    Attributes:
        enabled: whether it is turned on.
    """

    enabled: bool = False


class WebhookChannel(ConfigModel):
    """An address that takes a JSON document, in a variable of the environment as it may be a secret.

    Attributes:
        enabled: whether it is turned on.
        url_from: the variable that has the address.
        timeout_seconds: how long a server may be silent; an exchange may take three times as long in all.
    """

    enabled: bool = False
    url_from: Variable
    timeout_seconds: float = Field(default=10, gt=0, le=60)


class EmailChannel(ConfigModel):
    """A mail server, and who gets mail.

    Attributes:
        enabled: whether it is turned on.
        host, port: of the server.
        security: how the connection is encrypted.
        user: who logs in; null logs nobody in.
        password_from: the variable that has the password.
        sender: the address that mail comes from.
        recipients: the addresses that it goes to.
        timeout_seconds: how long a server may be silent; an exchange may take three times as long in all.
    """

    enabled: bool = False
    host: Text
    port: int = Field(ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Text | None = None
    password_from: Variable = "E2I_ALERTS_SMTP_PASSWORD"
    sender: Address
    recipients: tuple[Address, ...] = ()
    timeout_seconds: float = Field(default=10, gt=0, le=60)

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        if self.enabled and not self.recipients:
            raise ValueError("nobody is among the recipients")
        if self.user and self.security == "none":
            raise ValueError("a login goes with starttls or tls, not in clear")
        return self


class Channels(ConfigModel):
    """Every channel there is.

    Attributes:
        log: a line in a log.
        webhook, slack: addresses that take JSON.
        email: a mail server.
    """

    log: LogChannel = LogChannel()
    webhook: WebhookChannel = WebhookChannel(url_from="E2I_ALERTS_WEBHOOK_URL")
    slack: WebhookChannel = WebhookChannel(url_from="E2I_ALERTS_SLACK_URL")
    email: EmailChannel = EmailChannel(host="localhost", port=587, sender="e2i@localhost")

    @property
    def enabled(self) -> tuple[ChannelName, ...]:
        """Those that are turned on."""
        names: tuple[ChannelName, ...] = ("log", "webhook", "slack", "email")
        return tuple(name for name in names if getattr(self, name).enabled)


class Rule(ConfigModel):
    """Which alerts go over which channels; a filter that is left out fits all.

    Attributes:
        at_least: the lowest severity that fits.
        kinds, scopes, partitions: an alert must be of one of them, where any is named.
        channels: over which of them it goes.
    """

    at_least: Severity
    kinds: tuple[Kind, ...] = ()
    scopes: tuple[Text, ...] = ()
    partitions: tuple[Text, ...] = ()
    channels: tuple[ChannelName, ...] = Field(min_length=1)


class AlertRules(YamlModel):
    """The whole file.

    Attributes:
        notices: how often a person is told of the same.
        channels: how each channel is reached; all are off until they are turned on.
        rules: who is told; an alert goes over the channels of every rule that fits.
    """

    notices: Notices = Notices()
    channels: Channels = Channels()
    rules: tuple[Rule, ...] = ()
