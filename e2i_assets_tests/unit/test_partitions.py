"""Partitions and what their files name."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2i_assets.partitions import UnknownScope, programme
from e2i_assets_tests.conftest import shipped_config


def test_a_cohort_file_that_lists_an_unknown_scope_is_named(tmp_path: Path) -> None:
    config = shipped_config(tmp_path)
    file = config / "cohorts" / "fabhalta_pnh.yaml"
    file.write_text(file.read_text().replace("scopes: [conversion]", "scopes: [conversion, conversoin]"))
    with pytest.raises(
        UnknownScope, match=r"fabhalta_pnh\.yaml: scopes: .* conversoin; there are conversion"
    ):
        programme(config, "fabhalta_pnh")
