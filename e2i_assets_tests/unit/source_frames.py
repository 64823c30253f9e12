"""Small sources with mappings, and what is read of them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from e2i_assets.ingest.load import Load, Part
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.ingest.sources import read_source

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
BASE = {
    "patient_journey_id": "'j' || id", "patient_id": "id", "brand": "'Brand'", "indication": "'a'",
    "first_observation_date": "DATE '2024-01-01'", "last_observation_date": "DATE '2024-12-31'",
    "source_timestamp": "TIMESTAMPTZ '2024-01-01 00:00:00+00'",
}  # fmt: skip


def mapped(folder: Path, columns: dict[str, Any], read: dict[str, Any] | None = None, **spec: Any) -> Mapping:
    path = folder / "mapping.yaml"
    table = {"columns": {**BASE, **columns}, **spec}
    path.write_text(
        yaml.safe_dump({"source": "test", "read": read or {}, "tables": {"patient_journeys": table}})
    )
    return Mapping.from_yaml(path)


def given(folder: Path, content: bytes | str, name: str = "people.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read_in(load: Load) -> Part:
    parts = list(load.parts("patient_journeys"))
    refused = [part.refused for part in parts if part.refused is not None]
    return Part(pl.concat([p.frame for p in parts]), pl.concat(refused) if refused else None, parts[0].origin)


def read(
    folder: Path,
    content: bytes | str,
    columns: dict[str, Any],
    how: dict[str, Any] | None = None,
    **spec: Any,
) -> Part:
    return read_in(read_source(given(folder, content), mapped(folder, columns, how, **spec), now=NOW))


def attributes(part: Part) -> list[dict[str, Any]]:
    return [json.loads(document) for document in part.frame["clinical_attributes"]]


def refusals(part: Part) -> dict[int, str]:
    return {} if part.refused is None else dict(part.refused.select("row_number", "reason").iter_rows())
