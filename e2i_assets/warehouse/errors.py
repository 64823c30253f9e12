"""What goes wrong with the warehouse as a whole."""

from e2i_assets.errors import E2IError


class WarehouseUnavailable(E2IError, RuntimeError):
    """The database cannot be reached; the message says which one and what to do, never a password."""

    code = "warehouse_unavailable"
    on_data = False
