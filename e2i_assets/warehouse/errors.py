"""What goes wrong with the warehouse as a whole."""

from e2i_assets.errors import E2IError


class WarehouseUnavailable(E2IError, RuntimeError):
    """The database cannot be reached; the message says which one and what to do, never a password."""

    code = "warehouse_unavailable"
    on_data = False


LIBRARIES = {"sqlalchemy", "psycopg", "psycopg2", "adbc_driver_manager", "dagster_postgres"}
"""What speaks to PostgreSQL, by the first part of its modules' names: nothing is imported to be compared."""


def is_of_database(error: BaseException) -> bool:
    """Whether an error tells what PostgreSQL, or the connection to it, did."""
    return type(error).__name__ == "DatabaseRefused" or any(
        kind.__module__.partition(".")[0] in LIBRARIES for kind in type(error).__mro__
    )
