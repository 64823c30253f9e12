"""Transactions of a load: tried again where that can help, and never together with another load's."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from e2i_assets.errors import E2IError

T = TypeVar("T")

TRIES = 3
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
"""Seconds before the second try (doubled for the next, plus up to as much jitter), and the most."""
LOCK = 0x0E21
"""Advisory lock of the session that loads: loads follow each other."""
TRANSIENT = ("0800", "40", "53300", "55P03", "57P01", "57P02", "57P03")
"""SQLSTATEs that another try may mend: lost connections, conflicts, a server that restarts or is full."""
FULL = ("53100", "53200")
"""SQLSTATEs of a full disk and of no memory."""


class DatabaseRefused(E2IError, RuntimeError):
    """PostgreSQL refused a statement; the message has its code and constraint, never a value."""

    code = "database_refused"
    next_step = "Mend what the database names, and run the same again: nothing is half loaded."
    on_data = False


class Transactions:
    """One connection, opened when it is needed and again when it was lost, that holds the loaders' lock.

    Attributes:
        on_open: called with a cursor when the connection was opened again, before any further work.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._connection: Any = None
        self.on_open: Callable[[Any], None] = lambda cursor: None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def run(self, what: str, work: Callable[[Any], T], *, commit: bool = True) -> T:
        """Do `work(cursor)` in a transaction, at most three times where the failure may pass.

        A try may have been committed although its connection was lost: `work` must notice that.

        Raises:
            DatabaseRefused: the database says no, at once or still at the third try.
        """
        from adbc_driver_manager import Error

        retrying = Retrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential_jitter(initial=FIRST_WAIT, max=LONGEST_WAIT, jitter=FIRST_WAIT),
            retry=retry_if_exception(_transient),
            reraise=True,
        )
        try:
            return retrying(self._once, work, commit)
        except Error as error:
            raise DatabaseRefused(f"{what}: {_reason(error)}") from None

    def _once(self, work: Callable[[Any], T], commit: bool) -> T:
        connection = self._open()
        try:
            with connection.cursor() as cursor:
                done = work(cursor)
            (connection.commit if commit else connection.rollback)()
        except BaseException as error:
            # A connection in doubt is given up, and the lock with it.
            if _transient(error):
                self._close()
            else:
                connection.rollback()
            raise
        return done

    def _open(self) -> Any:
        if self._connection is None:
            self._connection = self._connect()
            with self._connection.cursor() as cursor:
                cursor.execute(f"SELECT pg_advisory_lock({LOCK})")
                self.on_open(cursor)
            self._connection.commit()
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _transient(error: BaseException) -> bool:
    from adbc_driver_manager import OperationalError

    # Without a code the server did not speak: there is no connection.
    return isinstance(error, OperationalError) and (error.sqlstate or "08000").startswith(TRANSIENT)


def _reason(error: Any) -> str:
    """The library quotes rows and statements; only the code and the constraint's name are safe to show."""
    if not error.sqlstate:
        return "the database does not answer; start it and load again: no row comes in twice"
    if error.sqlstate in FULL:
        return "the database has no room left; make room and load again: what is there already is kept"
    constraint = re.search(r'constraint "(\w+)"', str(error))
    rule = f", constraint {constraint.group(1)}" if constraint else ""
    return f"PostgreSQL refused with SQLSTATE {error.sqlstate}{rule}"
