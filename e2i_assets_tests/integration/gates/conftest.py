"""One partition that passed every gate, and a copy of it for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2i_assets.build import build_resources
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.settings import Settings
from e2i_assets.warehouse.loader import Load
from e2i_assets_tests.conftest import as_daily_role, installation
from e2i_assets_tests.integration.gates.partition import (
    PARTITIONS,
    checks,
    run,
)


@pytest.fixture(scope="package")
def base(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An installation with the small data set and one partition materialized, every gate passed.

    All of that by a role that owns no table.
    """
    with installation(server, tmp_path_factory.mktemp("gates")) as here:
        daily, made = as_daily_role(here), generate(GeneratorSpec(scale="small"))
        build_resources(daily)["warehouse"].load(
            Load(made.tables, "synthetic", replaces="synthetic"), PARTITIONS
        )
        result = run(daily, "*")
        assert result.success
        assert len(checks(result)) == 14
        yield here


@pytest.fixture
def here(server: str, base: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A copy of it, to be spoilt."""
    with installation(server, tmp_path, template=base) as copy:
        yield copy
