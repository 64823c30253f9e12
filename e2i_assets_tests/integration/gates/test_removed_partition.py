"""A brand that is taken out of the configuration leaves its history readable."""

from __future__ import annotations

from pathlib import Path

from e2i_assets.automation.sensors import NEWEST_RAW, published
from e2i_assets.build import build_resources
from e2i_assets.cli.cohort_data import newest
from e2i_assets.cli.models_data import card_of
from e2i_assets.partitions import cohort_files
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.publications import publication_of
from e2i_assets_tests.integration.gates.partition import COHORT_FILE, PARTITION, changed


def test_a_removed_cohort_file_leaves_what_it_had_made_readable(here: Settings, tmp_path: Path) -> None:
    without = changed(here, tmp_path, COHORT_FILE, lambda _: None)
    (without.config_dir / COHORT_FILE).unlink()
    assert PARTITION not in cohort_files(without.config_dir)
    resources = build_resources(without)
    card = card_of(without, f"conversion/{PARTITION}")
    assert card_of(without, card.version) == card
    assert newest(without, resources["warehouse"], PARTITION).standing == "published"
    ((_, raw),) = published(resources["store"], NEWEST_RAW, [PARTITION])
    assert raw is not None
    record = publication_of(resources["warehouse"], "conversion/model_card", PARTITION, card.version)
    assert record is not None
    assert "evaluation" in record.inputs
