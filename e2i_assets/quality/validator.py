"""`DataQualityValidator`: one table against one suite, from a notebook or a script (guide, "Layer 3")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.quality.config import QualityConfig, QualityConfigError
from e2i_assets.quality.expectations import run_suites
from e2i_assets.quality.relations import JOURNEYS
from e2i_assets.quality.schema import SchemaResult, check_schema
from e2i_assets.quality.suite_result import SuiteResult
from e2i_assets.settings import config_dir, settings


@dataclass(frozen=True)
class TableValidation:
    """Contract and suite of one table.

    Attributes:
        status: the suite's, unless the contract is broken: then `failed`.
        success_rate: percent of the suite's rules that hold.
    """

    table: str
    status: Literal["passed", "warning", "failed"]
    success_rate: float
    schema: SchemaResult
    expectations: SuiteResult


class DataQualityValidator:
    """Validate single tables.

    Args:
        tables: the tables by name, or a function that reads one by name; every partition's rows in the
            configured warehouse when not given. The tables that the validated one refers to are read as well.
        config: settings and suites; `config/quality.yaml` when not given.
    """

    def __init__(
        self,
        tables: Mapping[str, pl.DataFrame] | Callable[[str], pl.DataFrame] | None = None,
        config: QualityConfig | None = None,
    ) -> None:
        given = _read_warehouse if tables is None else tables
        self._read = given if callable(given) else given.__getitem__
        self._config = config or QualityConfig.from_yaml(config_dir() / "quality.yaml")

    async def validate_table(self, table_name: str, expectation_suite: str) -> TableValidation:
        """As `validate_table_sync`, in a worker thread."""
        return await asyncio.to_thread(self.validate_table_sync, table_name, expectation_suite)

    def validate_table_sync(self, table_name: str, expectation_suite: str) -> TableValidation:
        """Judge one table by its contract and one suite.

        Raises:
            KeyError: no contract for the table, or the mapping given has no such table.
            QualityConfigError: no suite of that name, or it is about another table.
            WarehouseUnavailable: the configured warehouse does not answer.
        """
        suite = next((s for s in self._config.suites if s.suite == expectation_suite), None)
        if suite is None or suite.table != table_name:
            known = ", ".join(f"{s.suite} ({s.table})" for s in self._config.suites)
            raise QualityConfigError(
                f"no suite {expectation_suite!r} for table {table_name!r}; there are {known}"
            )
        parents = {c.references.partition(".")[0] for c in columns(TABLES[table_name]) if c.references}
        parents |= {e.values_from.partition(".")[0] for e in suite.expectations if e.values_from}
        tables = {name: self._read(name) for name in sorted({table_name, JOURNEYS} | parents)}
        schema = check_schema(table_name, tables[table_name], tables=tables)
        (result,) = run_suites([suite], tables, self._config.suite_status)
        sound = schema.ok and result.status in ("passed", "warning")
        return TableValidation(
            table=table_name,
            status="warning" if sound and result.status == "warning" else "passed" if sound else "failed",
            success_rate=100 * result.success_rate,
            schema=schema,
            expectations=result,
        )


def _read_warehouse(table: str) -> pl.DataFrame:
    # The one place where this package meets a store, so that the guide's call works as it stands.
    from e2i_assets.warehouse.warehouse import Warehouse

    return Warehouse(settings()).table(table)
