"""What goes wrong with the warehouse as a whole."""

from e2i_assets.errors import E2IError


class WarehouseUnavailable(E2IError, RuntimeError):
    """The database cannot be reached; the message says which one and what to do, never a password."""

    code = "warehouse_unavailable"
    on_data = False


def unavailable(where: str, reason: str) -> WarehouseUnavailable:
    """What to say of a database that lets nobody in.

    Args:
        where: its address without secrets.
        reason: what its driver says, of which the first line is shown.
    """
    reason = reason.strip().partition("\n")[0] or "no reason given"
    mend = "Start it, or correct E2I_DATABASE_URL (unset it for the embedded server)."
    if "certificate" in reason or "SSL" in reason:
        mend = (
            "In E2I_DATABASE_URL sslrootcert names the file of the authority that signed the server's "
            "certificate, the host is a name in that, and sslmode is what the server takes."
        )
    return WarehouseUnavailable(f"the database {where} does not answer: {reason}.", mend)


LIBRARIES = {"sqlalchemy", "psycopg", "psycopg2", "adbc_driver_manager", "dagster_postgres"}
"""What speaks to PostgreSQL, by the first part of its modules' names: nothing is imported to be compared."""


def is_of_database(error: BaseException) -> bool:
    """Whether an error tells what PostgreSQL, or the connection to it, did."""
    return type(error).__name__ == "DatabaseRefused" or any(
        kind.__module__.partition(".")[0] in LIBRARIES for kind in type(error).__mro__
    )


TRANSIENT = ("0800", "53300", "57P01", "57P02", "57P03")
"""SQLSTATEs of a connection that was lost or refused, of a server that is full, ends or starts."""


def lost_connection(error: BaseException | None) -> str | None:
    """What was said where there was no connection to PostgreSQL any more, if an error comes from that.

    Its first line alone: statements and values, which libraries append, may be a patient's.
    """
    while error is not None:
        if isinstance(error, WarehouseUnavailable):
            return str(error)
        state = getattr(error, "sqlstate", None)
        # Without a state the server did not speak.
        lost = state.startswith(TRANSIENT) if state else type(error).__name__ == "OperationalError"
        if lost and is_of_database(error) and not hasattr(error, "orig"):
            return str(error).strip().splitlines()[0]
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__
    return None
