"""What can be wrong with a table that an effect is asked of."""

from e2i_assets.errors import E2IError


class CausalDataError(E2IError, ValueError):
    """The question cannot be put to this table; the message names the columns, the rule and how many rows."""

    code = "causal_data"
    next_step = "Correct the columns that the message names, and ask again."
