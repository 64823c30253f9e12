"""Servers on this machine that take what alerts are sent to."""

from __future__ import annotations

import base64
import datetime as dt
import json
import socketserver
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@contextmanager
def _serving(server: Any) -> Iterator[Any]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Webhook(ThreadingHTTPServer):
    """Takes documents; answers with `status`, the first time each."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status = 200
        self.documents: list[Any] = []
        self.keys: list[str] = []
        super().__init__(("127.0.0.1", 0), _Hook)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/SECRET"


class _Hook(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.documents.append(json.loads(body))
            self.server.keys.append(self.headers["Idempotency-Key"])
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def webhook() -> Iterator[Webhook]:
    with _serving(Webhook()) as server:
        yield server


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP as a client needs, with STARTTLS where it has a certificate; keeps the mails."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None, password: str | None) -> None:
        self.context, self.password = context, password
        self.mails: list[str] = []
        self.encrypted: list[bool] = []
        super().__init__(("127.0.0.1", 0), _Session)


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.secure = False
        self._say("220 ready")
        while line := self.rfile.readline().decode().strip():
            command = line.upper()
            if command.startswith("EHLO"):
                offers = ["AUTH PLAIN"] if self.secure else ["STARTTLS"] if self.server.context else []
                self._say(*(f"250-{offer}" for offer in ["local", *offers]), "250 SIZE")
            elif command == "STARTTLS" and self.server.context:
                self._encrypt()
            elif command.startswith("AUTH PLAIN"):
                given = base64.b64decode(line.split()[2]).decode().split("\0")[2]
                self._say("235 welcome" if given == self.server.password else f"535 {given} is wrong")
            elif command == "DATA":
                self._say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                self.server.mails.append("\n".join(lines))
                self.server.encrypted.append(self.secure)
                self._say("250 taken")
            else:
                self._say("221 bye" if command == "QUIT" else "250 fine")

    def _encrypt(self) -> None:
        self._say("220 go on")
        assert self.server.context
        try:
            self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        except ssl.SSLError:
            self.connection.close()
            self.rfile = open("/dev/null", "rb")  # noqa: PTH123, SIM115 -- the session is over
            return
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.secure = True

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


@contextmanager
def mail_server(certificate: Path | None = None, password: str | None = None) -> Iterator[MailServer]:
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    with _serving(MailServer(context, password)) as server:
        yield server


def certificate(folder: Path) -> Path:
    """A file with a key and its own certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (file := folder / "certificate.pem").write_bytes(text + made.public_bytes(serialization.Encoding.PEM))
    return file
