"""A PostgreSQL of the machine, reached over TLS alone with a certificate of its own authority."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from e2i_assets_tests.serve_process import free_port


def programs() -> Path | None:
    """Folder of the programs of a PostgreSQL that was built with TLS, as Debian installs one."""
    of_releases = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    on_path = shutil.which("initdb")
    return next((path.parent for path in [*of_releases, *map(Path, [on_path] if on_path else [])]), None)


@dataclass(frozen=True)
class Server:
    """Where it is, and the certificate of its authority and of another one.

    Attributes:
        folder: with `ca.pem`, which signed its certificate, and `other.pem`, which did not.
    """

    port: int
    folder: Path

    @property
    def of_superuser(self) -> str:
        """Address over the socket, to make roles and databases."""
        return f"postgresql://super@/postgres?host={self.folder}&port={self.port}"

    def url(self, user: str, secret: str, database: str, **query: str) -> str:
        """The address of a database for a role, verified in full unless said otherwise."""
        options = {"sslmode": "verify-full", "sslrootcert": str(self.folder / "ca.pem"), **query}
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
        login = f"{quote(user, safe='')}:{quote(secret, safe='')}"
        return f"postgresql://{login}@localhost:{self.port}/{database}?{asked}"


@contextmanager
def tls_server(installed: Path) -> Iterator[Server]:
    """Start it, with a superuser alone, who comes over its socket."""
    # An installation's temporary folder is closed to the user that root starts a server as.
    place = os.environ.get("TMPDIR", "/tmp")
    with tempfile.TemporaryDirectory(prefix="e2i-tls-", dir=place, ignore_cleanup_errors=True) as name:
        folder, data = Path(name), Path(name) / "data"
        folder.chmod(0o755)
        user = {"user": "nobody", "extra_groups": []} if os.getuid() == 0 else {}
        if user:
            shutil.chown(folder, "nobody")

        def run(program: str, *arguments: str) -> None:
            command = [installed / program, *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **user)

        run("initdb", "-D", str(data), "-U", "super", "--auth=trust", "--no-sync", "-E", "UTF8")
        _certificates(folder, data)
        port = free_port()
        (data / "pg_hba.conf").write_text("local all super trust\nhostssl all all all scram-sha-256\n")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"port = {port}\nlisten_addresses = 'localhost'\nunix_socket_directories = '{folder}'\n"
                "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\nfsync = off\n"
            )
        run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "start")
        try:
            yield Server(port, folder)
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")


def _certificates(folder: Path, data: Path) -> None:
    """An authority, the server's certificate by it, and another authority that nobody asked."""
    authority, key = _signed("authority of the test")
    other, _ = _signed("another authority")
    own, own_key = _signed("localhost", authority, key)
    for path, certificate in (
        (folder / "ca.pem", authority),
        (folder / "other.pem", other),
        (data / "server.pem", own),
    ):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        path.chmod(0o644)
    secret = data / "server.key"
    secret.write_bytes(
        own_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    secret.chmod(0o600)
    if os.getuid() == 0:
        shutil.chown(secret, "nobody")


def _signed(
    name: str, issuer: x509.Certificate | None = None, issuer_key: ec.EllipticCurvePrivateKey | None = None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate of a day; of an authority that signs itself where no issuer is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )
    return certificate, key
