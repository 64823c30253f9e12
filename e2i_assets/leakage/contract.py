"""What a contract says of a table's columns, in whatever form it comes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol, get_args

from e2i_assets.contracts.variables import AFTERWARDS, INDEX, OUTCOME, Role, Variable
from e2i_assets.leakage.findings import LeakageError


class SchemaLike(Protocol):
    """A Pandera schema whose columns have `role` and `available_at` in their metadata."""

    @property
    def columns(self) -> Mapping[str, Any]:
        """The columns by name."""


class ModelLike(Protocol):
    """A Pandera model, such as our table contracts."""

    def to_schema(self) -> SchemaLike:
        """Its schema."""


Entry = Variable | Mapping[str, str] | str
Contract = Mapping[str, Entry] | Iterable[str] | SchemaLike | ModelLike
"""What is known of a table's columns: an entry for each, the names of those known only afterwards, or a
Pandera schema or model. An entry is a variable, or a mapping with `role` and `available_at`, or one of both;
without `available_at` it does not say when the value is known, unless its role does."""


def is_whole(contract: Contract | None) -> bool:
    """Whether it speaks of every column, as a list of those known only afterwards does not."""
    return isinstance(contract, Mapping) or hasattr(contract, "to_schema") or hasattr(contract, "columns")


def as_entries(contract: Contract, columns: Collection[str]) -> dict[str, Variable]:
    """A contract in any of its forms, by column.

    Args:
        columns: of the table, among them dates from which on a value is known.

    Raises:
        LeakageError: an entry that says nothing of role and availability, or an unknown role.
    """
    if isinstance(contract, str):
        raise LeakageError("contract", "the contract is a text; a list of column names was expected")
    schema = contract.to_schema() if hasattr(contract, "to_schema") else contract
    if isinstance(schema, Mapping):
        return {str(name): _entry(str(name), entry, columns) for name, entry in schema.items()}
    if hasattr(schema, "columns"):
        declared = {str(name): column.metadata or {} for name, column in schema.columns.items()}
        entries = {name: _entry(name, meta, columns) for name, meta in declared.items() if "role" in meta}
        if entries:
            return entries
        raise LeakageError("contract", "no column of the schema has a role in its metadata")
    if isinstance(schema, Iterable):
        return {str(name): Variable(role="post_outcome", available_at=OUTCOME) for name in schema}
    raise LeakageError("contract", f"the contract is a {type(contract).__name__}")


def _entry(name: str, entry: Any, columns: Collection[str]) -> Variable:
    if isinstance(entry, str):
        entry = {"role" if entry in get_args(Role) and entry not in columns else "available_at": entry}
        if entry.get("available_at", INDEX) not in (INDEX, OUTCOME, *columns):
            raise LeakageError(
                "contract", f"contract of {name}: {entry['available_at']!r} is no role and no column"
            )
    if isinstance(entry, Mapping):
        if not {"role", "available_at", "dtype"} & set(entry):
            raise LeakageError("contract", f"contract of {name}: neither role nor available_at")
        role: Any = str(entry.get("role", "feature"))
        by_role = OUTCOME if role in AFTERWARDS else None
        stated = str(entry["available_at"]) if entry.get("available_at") else by_role
        entry = Variable(role=role, available_at=stated)
    if not isinstance(entry, Variable):
        raise LeakageError("contract", f"contract of {name}: an entry needs role and available_at")
    if entry.role not in get_args(Role):
        known = ", ".join(get_args(Role))
        raise LeakageError("contract", f"contract of {name}: role {entry.role!r} is none of {known}")
    return entry
