"""How a database that does not answer any more is known by what it leaves."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

DriverError = DBAPIError
"""What whoever reads through SQLAlchemy (Dagster's event log) raises of a database."""


def database_failure(error: BaseException | None) -> str | None:
    """What a database said that did not answer any more, if that is what an error comes from.

    Only the first line of it: statements and their values, which SQLAlchemy appends, may be a patient's.
    """
    while error is not None:
        if isinstance(error, OperationalError | InterfaceError):
            return str(error.orig).strip().splitlines()[0]
        error = error.__cause__ or error.__context__
    return None
