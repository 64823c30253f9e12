"""`DataQualityValidator()` as the guide calls it: no arguments, the configured warehouse."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from e2i_assets.ingest.load import Load
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.quality import DataQualityValidator, QualityConfigError
from e2i_assets.settings import Settings, settings
from e2i_assets.warehouse.warehouse import Warehouse

PARTITIONS = {("Remibrutinib", "csu"), ("Fabhalta", "pnh"), ("Fabhalta", "c3g"), ("Kisqali", "hr_her2_bc")}


@pytest.fixture
def configured(here: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose environment names the test's database."""
    assert here.database_url is not None
    monkeypatch.setenv("E2I_DATABASE_URL", here.database_url.get_secret_value())
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("configured")
def test_the_guides_call_reads_the_warehouse(warehouse: Warehouse) -> None:
    """Nothing loaded: failed. Loaded: passed, by both forms. Spoilt behind the loader's back: failed."""
    validator = DataQualityValidator()
    empty = validator.validate_table_sync("patient_journeys", "patient_journeys")
    assert (empty.status, empty.success_rate, empty.expectations.status) == ("failed", 0.0, "empty")

    warehouse.load(Load(generate(GeneratorSpec(scale="small")).tables, "synthetic"), PARTITIONS)
    result = asyncio.run(
        validator.validate_table(table_name="patient_journeys", expectation_suite="patient_journeys")
    )
    assert (result.status, result.success_rate) == ("passed", 100.0)
    assert result.schema.rows == 2500
    assert result == validator.validate_table_sync("patient_journeys", "patient_journeys")
    for table, suite in (("ml_predictions", "predictions"), ("causal_paths", "causal_paths")):
        assert validator.validate_table_sync(table, suite).status == "passed"

    with warehouse.engine.begin() as connection:
        connection.execute(sa.text("UPDATE e2i.triggers SET patient_id = 'somebody else'"))
    spoilt = validator.validate_table_sync("triggers", "triggers")
    assert spoilt.status == "failed"
    assert ("patient_id", "patient_of_journey") in {(f.column, f.rule) for f in spoilt.schema.failures}

    with pytest.raises(QualityConfigError, match="no suite 'causal_paths' for table 'triggers'"):
        validator.validate_table_sync("triggers", "causal_paths")
