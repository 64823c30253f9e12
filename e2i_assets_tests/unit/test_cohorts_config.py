"""Cohort definitions: the four partition files, and what a mistaken definition is told."""

import datetime as dt

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from e2i_assets.cohorts import CohortConfig, CohortError, Criterion, Operator, TemporalRequirements
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.patients import PatientJourneys
from e2i_assets_tests.conftest import CONFIG

FILES = CONFIG / "cohorts"
ADULT = ("age_at_diagnosis", ">=", 18)
TRUE_EXCLUDES = {
    "remibrutinib_csu": [
        "active_autoimmune_condition", "concurrent_immunosuppressive", "pregnancy_status",
        "severe_hepatic_impairment",
    ],
    "fabhalta_pnh": ["active_serious_infection", "bone_marrow_transplant_recent", "severe_renal_impairment"],
    "fabhalta_c3g": ["active_serious_infection", "dialysis_dependent"],
    "kisqali_hr_her2_bc": [
        "prior_cdk46_inhibitor", "qtc_prolongation", "severe_hepatic_impairment", "active_cns_metastases",
        "concurrent_strong_cyp3a_inhibitor",
    ],
}  # fmt: skip
BREAST = [f"C50.{digit}" for digit in (0, 1, 2, 3, 4, 5, 6, 8, 9)]
INCLUDES = {
    "remibrutinib_csu": [
        ADULT, ("diagnosis_code", "in", ["L50.1", "L50.8", "L50.9"]), ("urticaria_severity_uas7", ">=", 16),
        ("prior_antihistamine_therapy", "==", True),
    ],
    "fabhalta_pnh": [
        ADULT, ("diagnosis_code", "in", ["D59.5", "D59.50", "D59.51", "D59.59"]), ("ldh_ratio", ">=", 1.5),
        ("complement_inhibitor_status", "in", ["current", "prior"]),
    ],
    "fabhalta_c3g": [
        ADULT, ("diagnosis_code", "in", ["N03.6", "N04.6", "N05.6"]), ("proteinuria_g_day", ">=", 1.0),
        ("egfr", ">=", 30),
    ],
    "kisqali_hr_her2_bc": [
        ADULT, ("diagnosis_code", "in", BREAST), ("hr_status", "==", "positive"),
        ("her2_status", "==", "negative"),
        ("disease_stage", "in", ["advanced", "metastatic", "locally_advanced", "stage_iv"]),
        ("ecog_performance_status", "<=", 1),
    ],
}  # fmt: skip
WINDOWS = {"remibrutinib_csu": (180, 90)}


@pytest.mark.parametrize("partition", INCLUDES)
def test_partition_file_states_its_protocol(partition):
    config = CohortConfig.from_yaml(FILES / f"{partition}.yaml")
    assert [(c.field, c.operator, c.value) for c in config.inclusion_criteria] == INCLUDES[partition]
    excluded = {(c.field, c.operator, c.value) for c in config.exclusion_criteria}
    expected = {(field, "==", True) for field in TRUE_EXCLUDES[partition]}
    if partition.startswith("fabhalta"):
        expected.add(("meningococcal_vaccination_current", "==", False))
    assert excluded == expected
    windows = config.temporal_requirements
    assert (windows.lookback_days, windows.followup_days) == WINDOWS.get(partition, (365, 180))
    assert windows.index_date_field == "diagnosis_date"
    assert config.cohort_id == f"{partition}_v1.0.0"
    criteria = (*config.inclusion_criteria, *config.exclusion_criteria)
    assert all(c.description and c.clinical_rationale for c in criteria)
    contract = {column.name for column in columns(PatientJourneys)}
    assert {c.field for c in criteria} - contract == set(config.attributes)


def test_what_is_given_without_a_name_is_taken_in_order():
    named = Criterion(field="age", operator=">=", value=np.int64(18), description="Adult")
    assert Criterion("age", Operator.GREATER_EQUAL, 18, "Adult") == named
    assert TemporalRequirements(30, followup_days=60) == TemporalRequirements(
        lookback_days=30, followup_days=60
    )
    with pytest.raises(TypeError, match="takes each of field, operator, value"):
        Criterion("age", ">=", 18, field="age")
    with pytest.raises(TypeError, match="once"):
        TemporalRequirements(1, 2, "diagnosis_date", 4)


def test_brand_look_up_ignores_case_and_never_guesses():
    assert CohortConfig.from_brand("REMIBRUTINIB").indication == "csu"
    assert CohortConfig.from_brand("fabhalta", "C3G").cohort_id == "fabhalta_c3g_v1.0.0"
    with pytest.raises(ValueError, match=r"several.*Fabhalta / c3g.*Fabhalta / pnh"):
        CohortConfig.from_brand("fabhalta")
    with pytest.raises(ValueError, match=r"'Remibrutinib / pnh' has no cohort file.*Remibrutinib / csu"):
        CohortConfig.from_brand("Remibrutinib", "pnh")
    with pytest.raises(ValueError, match=r"'aspirin' has no cohort file.*Kisqali / hr_her2_bc"):
        CohortConfig.from_brand("aspirin")


def minimal(**changes):
    content = {
        "cohort_name": "Test",
        "brand": "Testa",
        "indication": "x",
        "inclusion_criteria": [{"field": "age_at_diagnosis", "operator": ">=", "value": 18}],
    }
    return content | changes


def test_hash_identifies_the_definition_not_its_spelling(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(yaml.safe_dump(minimal()))
    second.write_text(yaml.safe_dump(minimal(version="1.0.0", exclusion_criteria=[]), sort_keys=False))
    a, b = CohortConfig.from_yaml(first), CohortConfig.from_yaml(second)
    assert a.config_hash == b.config_hash
    assert len(a.config_hash) == 16
    assert CohortConfig(**a.model_dump(mode="json")) == a
    stricter = CohortConfig(
        **minimal(inclusion_criteria=[{"field": "age_at_diagnosis", "operator": ">=", "value": 21}])
    )
    assert stricter.config_hash != a.config_hash


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (minimal(colour="red"), r"colour: no such key"),
        (minimal(version=1.0), r"version: Input should be a valid string"),
        (minimal(temporal_requirements={"lookback_days": True}), r"temporal_requirements\.lookback_days: "),
        (minimal(temporal_requirements={"followup_days": -1}), r"temporal_requirements\.followup_days: "),
        (
            minimal(inclusion_criteria=[{"field": "a", "operator": "=>", "value": 1}]),
            r"inclusion_criteria\[0\]\.operator: Input should be '=='",
        ),
        (
            minimal(exclusion_criteria=[{"field": "a", "operator": "==", "value": None}]),
            r"exclusion_criteria\[0\]\.value: must be a boolean, number, text or date, not NoneType",
        ),
        (
            minimal(exclusion_criteria=[{"field": "a", "operator": "==", "value": 1, "vlaue": 2}]),
            r"exclusion_criteria\[0\].vlaue: no such key",
        ),
        (minimal(attributes={"gender": {"dtype": "string"}}), r"attributes \['gender'\]"),
        (minimal(attributes={"x": {"dtype": "text"}}), r"attributes\.x\.dtype: Input should be 'integer'"),
        (
            minimal(attributes={"x": {"dtype": "boolean", "role": "outcome"}}),
            r"attributes\.x: role outcome is not known at the index date",
        ),
        (
            minimal(features={"event_windows": [{"windows": [90], "statistics": ["horoscope"]}]}),
            r"features\.event_windows\[0\]\.statistics\[0\]: Input should be 'count'",
        ),
        (
            minimal(features={"event_windows": [{"windows": [90, 365], "statistics": ["count"]}]}),
            r"features: event_windows\[0\]: \[365\] days are longer than lookback_days, which is 180",
        ),
        (
            minimal(
                temporal_requirements=None,
                features={"event_windows": [{"windows": [9], "statistics": ["count"]}]},
            ),
            r"features: event_windows count days from the index date: state temporal_requirements",
        ),
        (
            minimal(features={"event_windows": [{"windows": [90, 90], "statistics": ["count"]}]}),
            r"event_windows\[0\]: windows: 90: state each once",
        ),
        (
            minimal(features={"event_windows": [{"windows": [0], "statistics": ["count"]}]}),
            r"event_windows\[0\]\.windows\[0\]: Input should be greater",
        ),
        ({"brand": "Testa"}, r"cohort_name: Field required; .* indication: .* inclusion_criteria: Field"),
    ],
)
def test_yaml_mistake_names_file_key_and_rule(tmp_path, content, message):
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(CohortError, match=rf"(?s)CC_001: .*broken\.yaml:\d+: .*{message}") as raised:
        CohortConfig.from_yaml(path)
    assert raised.value.code == "CC_001"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", r"broken.yaml:\d: is not YAML: did not find"),
        ("- a\n- b\n", "expected a mapping, found list"),
        ("", "expected a mapping, found NoneType"),
        (
            "exclusion_criteria: []\nbrand: x\nexclusion_criteria: []\n",
            "broken.yaml:3: the key exclusion_criteria stands twice",
        ),
    ],
)
def test_unreadable_yaml_is_refused(tmp_path, text, message):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(CohortError, match=message):
        CohortConfig.from_yaml(path)
    with pytest.raises(CohortError, match=r"absent\.yaml: cannot be read"):
        CohortConfig.from_yaml(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("operator", "value", "message"),
    [
        ("in", [], "non-empty list"),
        ("in", "L50.1", "non-empty list"),
        ("not_in", ["a", 1], "values of one kind"),
        ("in", [True, 1], "values of one kind"),
        ("between", [1], "list of two"),
        ("between", [2, 1], "low then high"),
        ("between", ["2021-01-01", "2020-01-01"], "low then high"),
        (">=", [18], "one value, not a list"),
        (">=", True, "number or a date"),
        (">=", "eighteen", "number or an ISO date"),
        (">", float("nan"), "must be finite"),
        ("==", 2**63, "64 bits"),
        ("==", dt.datetime(2020, 1, 1), "not datetime"),
        ("contains", "", "non-empty text"),
        ("contains", 5, "non-empty text"),
    ],
)
def test_value_must_fit_the_operator(operator, value, message):
    with pytest.raises(ValidationError, match=message):
        Criterion(field="a", operator=operator, value=value)


def test_dates_are_kept_as_iso_text():
    criterion = Criterion(
        field="a", operator=Operator.BETWEEN, value=[dt.date(2020, 1, 1), dt.date(2020, 6, 1)]
    )
    assert criterion.value == ["2020-01-01", "2020-06-01"]
