"""Publications of stages, each with what it was made of: the edges of every lineage."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH, insert

from e2i_assets.warehouse.records import code_versions, publications

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

_OF = publications.c


@dataclass(frozen=True)
class Made:
    """A version of an asset, and the run that made it."""

    asset: str
    version: str
    run_id: str


@dataclass(frozen=True)
class Publication:
    """A version that passed its gates, and what it was made of.

    Attributes:
        fingerprint: hash of all that it was made from.
        code: version of the code that made it; `code_modules` tells what that is.
        config: the configuration that decided it.
        inputs: by the stage's name for each.
        attributes: facts of its making.
    """

    asset: str
    partition: str
    version: str
    fingerprint: str
    code: str
    config: Any
    inputs: Mapping[str, Made]
    attributes: Mapping[str, Any]
    run_id: str
    published_at: dt.datetime | None = None


def record_publication(warehouse: Warehouse, publication: Publication, modules: Mapping[str, str]) -> None:
    """Write down what is about to be published; a run that is taken up again finds it written.

    Args:
        modules: what its code version is made of.
    """
    row = {
        "asset": publication.asset,
        "partition": publication.partition,
        "version": publication.version,
        "fingerprint": publication.fingerprint,
        "code": publication.code,
        "config": storable(publication.config),
        "inputs": {name: vars(made) for name, made in publication.inputs.items()},
        "attributes": storable(dict(publication.attributes)),
        "run_id": publication.run_id,
    }
    code = {"code": publication.code, "modules": dict(modules)}
    with warehouse.engine.begin() as connection:
        connection.execute(insert(code_versions).values(code).on_conflict_do_nothing())
        connection.execute(insert(publications).values(row).on_conflict_do_nothing())


def publication_of(
    warehouse: Warehouse, asset: str, partition: str, version: str, run_id: str | None = None
) -> Publication | None:
    """How a version was published, by a run or last; None where that is not on record."""
    conditions = [_OF.asset == asset, _OF.partition == partition, _OF.version == version]
    conditions += [] if run_id is None else [_OF.run_id == run_id]
    return _newest(warehouse, *conditions)


def publication_with(
    warehouse: Warehouse, asset: str, partition: str, attributes: Mapping[str, Any]
) -> Publication | None:
    """The last publication of an asset that has these attributes; None where there is none on record."""
    return _newest(
        warehouse, _OF.asset == asset, _OF.partition == partition, _OF.attributes.contains(dict(attributes))
    )


def publication_by(
    warehouse: Warehouse, asset: str, partition: str, run_ids: Collection[str]
) -> Publication | None:
    """The last publication of an asset by one of these runs; None where they published none."""
    return _newest(warehouse, _OF.asset == asset, _OF.partition == partition, _OF.run_id.in_(run_ids))


def readers_of(warehouse: Warehouse, partition: str, made: Made) -> list[Publication]:
    """The last publication of each asset that was made of a version."""
    reads = sa.func.jsonb_path_exists(
        _OF.inputs,
        sa.cast("$.* ? (@.asset == $asset && @.version == $version)", JSONPATH),
        sa.cast({"asset": made.asset, "version": made.version}, JSONB),
    )
    query = (
        sa.select(publications)
        .distinct(_OF.asset)
        .where(_OF.partition == partition, reads)
        .order_by(_OF.asset, _OF.id.desc())
    )
    with warehouse.engine.connect() as connection:
        return [_publication(row) for row in connection.execute(query).mappings()]


@dataclass(frozen=True)
class Making:
    """A publication without what takes room: what it was made of, and what else is kept of it.

    Attributes:
        seals: of splits: split to its seal in the vault.
        files: of a bundle: hash of its files.
        mlflow_run_id: of a trained model.
    """

    asset: str
    version: str
    fingerprint: str
    inputs: Mapping[str, Made]
    published_at: dt.datetime
    seals: Mapping[str, str] | None
    files: str | None
    mlflow_run_id: str | None


def makings(warehouse: Warehouse, partition: str) -> list[Making]:
    """Every publication of a partition, in the order in which they were made."""
    query = (
        sa.select(
            _OF.asset, _OF.version, _OF.fingerprint, _OF.inputs, _OF.published_at, _OF.attributes["seals"],
            _OF.attributes["files"].astext, _OF.attributes["mlflow_run_id"].astext,
        )
        .where(_OF.partition == partition)
        .order_by(_OF.id)
    )  # fmt: skip
    with warehouse.engine.connect() as connection:
        rows = connection.execute(query).all()
    return [Making(*row[:3], {name: Made(**made) for name, made in row[3].items()}, *row[4:]) for row in rows]


def published_partitions(warehouse: Warehouse) -> list[str]:
    """Partitions of which anything was published, also those that are configured no more."""
    with warehouse.engine.connect() as connection:
        return list(connection.scalars(sa.select(_OF.partition).distinct().order_by(_OF.partition)))


def code_modules(warehouse: Warehouse, code: str) -> dict[str, str] | None:
    """What a code version is made of; None where it is not on record."""
    query = sa.select(code_versions.c.modules).where(code_versions.c.code == code)
    with warehouse.engine.connect() as connection:
        return connection.scalar(query)


def storable(value: Any) -> Any:
    """As `json_hash` takes it, and numbers that are none as texts: PostgreSQL's JSON has none."""
    return json.loads(json.dumps(value, default=str), parse_constant=str)


def _newest(warehouse: Warehouse, *conditions: sa.ColumnElement[bool]) -> Publication | None:
    query = sa.select(publications).where(*conditions).order_by(_OF.id.desc()).limit(1)
    with warehouse.engine.connect() as connection:
        row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _publication(row)


def _publication(row: sa.RowMapping) -> Publication:
    inputs = {name: Made(**made) for name, made in row["inputs"].items()}
    return Publication(**{k: v for k, v in row.items() if k != "id"} | {"inputs": inputs})
