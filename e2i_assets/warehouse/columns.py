"""Columns and rules that many record tables have."""

from __future__ import annotations

import sqlalchemy as sa


def identity() -> sa.Column:
    """The primary key `id`, a number that only the database gives."""
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def text(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column:
    """A text that is there, unless said otherwise."""
    return sa.Column(name, sa.Text, nullable=nullable, comment=comment)


def one_of(column: str, values: tuple[str, ...]) -> str:
    """SQL of the rule that a column has one of these values."""
    return f"{column} IN ({', '.join(map(repr, values))})"
