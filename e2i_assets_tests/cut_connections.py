"""A way to PostgreSQL that is cut when a statement passes, or when the server has done it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from e2i_assets.settings import Settings


@dataclass
class Way:
    """Connections to a server, all of which are cut together.

    Attributes:
        address: of the server's socket.
        cuts: how often it was cut so far.
    """

    address: str
    cuts: int = 0
    _text: bytes = b""
    _times: int = 0
    _unheard: bytes = b""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: list[socket.socket] = field(default_factory=list)

    def cut_at(self, text: str, *, times: int = 1, unheard: str = "") -> None:
        """Cut every connection each time that a statement with this text passes; the server does not get it.

        Args:
            unheard: instead, the server gets the next statement with this text, and its answer is lost.
        """
        self.cuts, self._text, self._times, self._unheard = 0, text.encode(), times, unheard.encode()

    def carry(self, client: socket.socket) -> None:
        """Pass on what a client and the server say."""
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.address)
        with self._lock:
            self._open += [client, server]
        passed, last = False, threading.Event()
        threading.Thread(target=self._answers, args=(server, client, last), daemon=True).start()
        with suppress(OSError):
            while data := client.recv(1 << 16):
                passed = passed or (bool(self._text) and self._text in data)
                if passed and self._unheard in data and self._is_due():
                    passed = False
                    if not self._unheard:
                        self._cut()
                        return
                    last.set()
                server.sendall(data)
        _end(server)

    def _answers(self, server: socket.socket, client: socket.socket, last: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if last.is_set():
                    self._cut()
                    return
                client.sendall(data)
        _end(client)

    def _is_due(self) -> bool:
        with self._lock:
            due = self.cuts < self._times
            self.cuts += due
        return due

    def _cut(self) -> None:
        with self._lock:
            every, self._open = self._open, []
        for one in every:
            _end(one)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextmanager
def way_to(here: Settings) -> Iterator[tuple[Way, Settings]]:
    """A way to the database of an installation, and the installation as it is reached by it."""
    assert here.database_url is not None
    url = make_url(here.database_url.get_secret_value())
    way = Way(f"{url.query['host']}/.s.PGSQL.5432")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=way.carry, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        there = url.set(host="127.0.0.1", port=listener.getsockname()[1]).difference_update_query(["host"])
        address = SecretStr(there.render_as_string(hide_password=False))
        yield way, here.model_copy(update={"database_url": address})
