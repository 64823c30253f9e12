"""What a mapping says of an attribute and what the cohort files declare are the same, or nothing is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2i_assets.cli.importing import NotWritten, agree_with_cohorts, draft, require_cohort_file
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.ingest.mapping import Mapping, MappingError
from e2i_assets_tests.conftest import CONFIG, ROOT, config_with_examples

GBSG2 = CohortConfig.from_yaml(ROOT / "examples" / "gbsg2" / "tamoxifen_breast_cancer.yaml")
TEXT = """
source: trial
tables:
  patient_journeys:
    columns: {brand: "'Tamoxifen'", indication: "'breast_cancer'"}
    attributes:
      NAME: {from: x, STATED}
"""


def agreed(name: str, stated: str, text: str = TEXT) -> None:
    text = text.replace("NAME", name).replace("STATED", stated)
    agree_with_cohorts(Mapping.from_text(text, Path("m.yaml")), {"tamoxifen_breast_cancer": GBSG2})


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("recurrence_2y", "role: outcome, available_at: outcome"),
        ("recurrence_2y", "values: {a: b}"),
        ("tsize", "unit: mm"),
        ("tsize", "unit: cm, factor: 10"),
        ("new", "role: feature"),
    ],
)
def test_what_agrees_is_let_through(name: str, stated: str) -> None:
    agreed(name, stated)


@pytest.mark.parametrize(
    ("name", "stated", "message"),
    [
        ("recurrence_2y", "role: feature", "is declared with role outcome, and here with feature"),
        ("recurrence_2y", "available_at: index", "is declared with available_at outcome"),
        ("new", "role: outcome, available_at: outcome", "is not declared, and would not be used"),
        ("tsize", "unit: cm", "is in mm, the source in cm; say `factor`"),
        ("tsize", "unit: mm, factor: 10", "is in mm already"),
    ],
)
def test_what_contradicts_a_cohort_file_names_line_and_file(name: str, stated: str, message: str) -> None:
    with pytest.raises(MappingError) as error:
        agreed(name, stated)
    assert str(error.value).startswith(f"m.yaml:7: tables.patient_journeys.attributes.{name}: ")
    assert "config/cohorts/tamoxifen_breast_cancer.yaml" in str(error.value)
    assert message in str(error.value)


def test_only_partitions_that_the_mapping_may_fill_are_asked() -> None:
    other = TEXT.replace("'Tamoxifen'", "'Kisqali'")
    agreed("new", "role: outcome, available_at: outcome", other)
    with pytest.raises(MappingError, match="is not declared"):
        agreed("new", "role: outcome, available_at: outcome", TEXT.replace("\"'Tamoxifen'\"", "drug"))


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            "gbsg2",
            "mapping.yaml:10: tables.patient_journeys.columns.brand: no cohort file is of Tamoxifen / "
            "breast_cancer. `cp {folder}/tamoxifen_breast_cancer.yaml {config}/cohorts` and "
            "`cp {folder}/recurrence.yaml {config}/scopes`; then import again",
        ),
        (
            "omop",
            "mapping.yaml:7: omop.brand: no cohort file is of Celecoxib / osteoarthritis. "
            "`cp {folder}/celecoxib_osteoarthritis.yaml {config}/cohorts`; then import again",
        ),
    ],
)
def test_without_its_cohort_file_the_files_to_copy_are_named(
    example: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    folder = Path("examples") / example
    mapping = Mapping.from_yaml(folder / "mapping.yaml")
    with pytest.raises(MappingError) as error:
        require_cohort_file(mapping, CONFIG)
    assert error.value.summary.endswith(message.format(folder=folder, config=CONFIG) + ".")
    assert error.value.next_step.startswith("`cp ")
    require_cohort_file(mapping, config_with_examples(tmp_path))


def test_without_a_cohort_file_anywhere_its_name_is_told() -> None:
    mapping = Mapping.from_text(TEXT.replace("      NAME: {from: x, STATED}", "      {}"), Path("m.yaml"))
    with pytest.raises(
        MappingError, match=r"cohorts/tamoxifen_breast_cancer\.yaml with that brand .* --suggest"
    ):
        require_cohort_file(mapping, CONFIG)


def test_a_brand_that_rows_tell_is_left_to_the_load() -> None:
    text = TEXT.replace("      NAME: {from: x, STATED}", "      {}").replace("\"'Tamoxifen'\"", "drug")
    require_cohort_file(Mapping.from_text(text, Path("m.yaml")), CONFIG)


def test_a_draft_is_not_written_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("mine")
    with pytest.raises(NotWritten):
        draft(str(tmp_path), tmp_path / "m.yaml")
    assert (tmp_path / "m.yaml").read_text() == "mine"
