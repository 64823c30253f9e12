"""Each channel against a server on this machine: what arrives, and what is told where nothing does."""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from e2i_assets.monitoring.alerts.alert import RaisedAlert
from e2i_assets.monitoring.alerts.config import ChannelName, Channels
from e2i_assets.monitoring.alerts.notice import Notice
from e2i_assets.monitoring.alerts.sending import ChannelFailed, send
from e2i_assets_tests.integration.receivers import certificate, mail_server, webhook

NOTICE = Notice(
    RaisedAlert(
        kind="gate", severity="high", subject="qc_report of p", message="Zölle", next_step="look", id=7
    ),
    up_to=1,
    held_back=1,
)
ADDRESS = "ALERT_ADDRESS"


def hooks(timeout: float = 5) -> Channels:
    hook = {"enabled": True, "url_from": ADDRESS, "timeout_seconds": timeout}
    return Channels.model_validate({"webhook": hook, "slack": hook})


def mail(port: int, **of: Any) -> Channels:
    stated = {
        "enabled": True, "host": "127.0.0.1", "port": port, "sender": "e2i@clinic.example",
        "recipients": ["anna@clinic.example"], "security": "none", "password_from": "ALERT_PASSWORD",
        "timeout_seconds": 5,
    }  # fmt: skip
    return Channels.model_validate({"email": stated | of})


@pytest.mark.parametrize("channel", ["webhook", "slack"])
def test_a_webhook_gets_the_alert_and_its_key(
    monkeypatch: pytest.MonkeyPatch, channel: ChannelName, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with webhook() as server:
        monkeypatch.setenv(ADDRESS, server.url)
        send(NOTICE, channel, hooks())
    (document,) = server.documents
    assert server.keys == [NOTICE.key]
    if channel == "webhook":
        assert (document["key"], document["alert"]["message"]) == (NOTICE.key, "Zölle")
    else:
        assert document == {"text": document["text"]}
        assert "Zölle" in document["text"]
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_refuses_has_not_taken_it(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with webhook() as server:
        server.status = status
        monkeypatch.setenv(ADDRESS, server.url)
        with pytest.raises(ChannelFailed, match=f"the server answered {status}") as failed:
            send(NOTICE, "slack", hooks())
    assert "SECRET" not in failed.value.summary
    assert not server.documents


def test_what_is_not_reached_is_told_without_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        for address, reason in {
            f"http://127.0.0.1:{port}/SECRET": "did not answer in time",
            "http://nowhere.invalid/SECRET": "was not reached",
            "http://127.0.0.1:0x/SECRET": "was not reached",
            "http://[::1/SECRET": "was not reached",
            f"http://anna:SECRET@127.0.0.1:{port}/": "or one with a login",
            "file:///SECRET": "holds no http or https address",
            "": "ALERT_ADDRESS is not set",
        }.items():
            monkeypatch.setenv(ADDRESS, address)
            with pytest.raises(ChannelFailed, match=reason) as failed:
                send(NOTICE, "slack", hooks(timeout=0.2))
            assert "SECRET" not in failed.value.summary
            assert failed.value.__cause__ is None
    monkeypatch.setenv(ADDRESS, f"http://127.0.0.1:{port}/SECRET")
    with pytest.raises(ChannelFailed, match="refused or broke off"):
        send(NOTICE, "webhook", hooks())


def test_a_server_that_trickles_is_not_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is in time; all of them take a minute."""
    over = threading.Event()

    def trickle(server: socket.socket, greeting: bytes) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            for byte in greeting + b"x" * 600:
                connection.sendall(bytes([byte]))
                if over.wait(0.1):
                    return

    for channel, greeting in {"webhook": b"HTTP/1.1 200 OK\r\nX: ", "email": b"220 "}.items():
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            thread = threading.Thread(target=trickle, args=(server, greeting))
            thread.start()
            monkeypatch.setenv(ADDRESS, f"http://127.0.0.1:{port}/SECRET")
            channels = hooks(timeout=0.3) if channel == "webhook" else mail(port, timeout_seconds=0.3)
            with pytest.raises(ChannelFailed, match="did not answer in time"):
                send(NOTICE, cast(ChannelName, channel), channels)
            assert thread.is_alive()
            over.set()
            thread.join()
            over.clear()


def test_mail_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server() as server:
        send(NOTICE, "email", mail(server.server_address[1]))
    (text,) = server.mails
    assert "Subject: [high] gate: qc_report of p" in text
    assert "To: anna@clinic.example" in text
    assert f"Message-ID: <{NOTICE.key}@clinic.example>" in text


def test_a_login_goes_over_an_encrypted_connection_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = certificate(tmp_path)
    monkeypatch.setenv("ALERT_PASSWORD", "SECRET")
    with mail_server(file, "SECRET") as server:
        channels = mail(server.server_address[1], security="starttls", user="e2i")
        with pytest.raises(ChannelFailed, match="certificate is not trusted"):
            send(NOTICE, "email", channels)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        send(NOTICE, "email", channels)
        assert server.encrypted == [True]
        monkeypatch.setenv("ALERT_PASSWORD", "OTHER")
        with pytest.raises(ChannelFailed, match=r"refused the login \(535\)") as failed:
            send(NOTICE, "email", channels)
        assert "OTHER" not in failed.value.summary
    with mail_server() as plain, pytest.raises(ChannelFailed, match="does not know STARTTLS"):
        send(NOTICE, "email", mail(plain.server_address[1], security="starttls", user="e2i"))
    assert len(server.mails) == 1
    assert not plain.mails
