"""A process that reads a ledger, waits for a line, and adds to what it read: `MODEL VERSION WHO`."""

from __future__ import annotations

import datetime as dt
import os
import sys
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from e2i_assets.registry.errors import LostRace
from e2i_assets.registry.ledger import Entry
from e2i_assets.warehouse.queries.registry import model_of, registry


def race(url: str, name: str, version: int, who: str) -> str:
    """`won`, or what was said to the one who lost."""
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    warehouse: Any = SimpleNamespace(engine=engine)  # without its schema's being brought to date
    model = model_of(warehouse, name)
    now = dt.datetime.now(dt.UTC)
    entry = Entry(name, model.next_sequence, version, "moved", "development", "staging", who, who, now)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    try:
        with registry(warehouse) as ledger:
            ledger.append(entry)
    except LostRace as lost:
        return str(lost)
    return "won"


if __name__ == "__main__":
    sys.stdout.write(race(os.environ["RACE_URL"], sys.argv[1], int(sys.argv[2]), sys.argv[3]))
