"""What a person is told of an alert, in the words of each channel."""

from __future__ import annotations

from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

from e2i_assets.json_files import to_json
from e2i_assets.monitoring.alerts.alert import RaisedAlert

_SHOWN = (
    "id", "kind", "severity", "subject", "message", "next_step", "partition", "scope", "model_name",
    "model_version", "raised", "first_at", "last_at", "details",
)  # fmt: skip


@dataclass(frozen=True)
class Notice:
    """One telling of an alert.

    Attributes:
        up_to: how often the alert had been raised.
        held_back: how many of these nobody has been told of, this time included.
    """

    alert: RaisedAlert
    up_to: int
    held_back: int

    @property
    def key(self) -> str:
        """The same each time that this notice is sent, so that a receiver can drop a second one."""
        since = f"{self.alert.first_at:%Y%m%dT%H%M%S%f}" if self.alert.first_at else "test"
        return f"e2i-alert-{self.alert.id}-{since}-{self.up_to}"

    @property
    def title(self) -> str:
        """Severity, kind and subject in a line."""
        return f"[{self.alert.severity}] {self.alert.kind}: {' '.join(self.alert.subject.split())}"

    @property
    def text(self) -> str:
        """All that a person needs, in a few lines."""
        alert = self.alert
        lines = [alert.message, f"What to do: {alert.next_step}"]
        if self.up_to > 1:
            lines.append(
                f"Raised {self.up_to} times since {alert.first_at:%Y-%m-%d %H:%M} UTC, "
                f"{self.held_back} of them since the last notice."
            )
        if alert.id:
            lines.append(f"Take it on: e2i alerts ack {alert.id} --by YOUR_NAME")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """As plain JSON types, for a program."""
        alert = to_json(self.alert)
        return {"key": self.key, "held_back": self.held_back, "alert": {name: alert[name] for name in _SHOWN}}

    def slack(self) -> dict[str, str]:
        """As an incoming webhook of Slack takes it."""
        text = f"*{self.title}*\n{self.text}\n_{self.key}_"
        for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(sign, written)
        return {"text": text}

    def email(self, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
        """As a mail, whose Message-ID is the key."""
        mail = EmailMessage()
        mail["Subject"] = self.title
        mail["From"] = sender
        mail["To"] = ", ".join(recipients)
        mail["Message-ID"] = f"<{self.key}@{Address(addr_spec=sender).domain}>"
        mail.set_content(self.text)
        return mail
