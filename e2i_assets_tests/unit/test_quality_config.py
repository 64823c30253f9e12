import shutil

import pytest
import yaml

from e2i_assets.cohorts import CohortConfig, CohortError
from e2i_assets.cohorts.quality_terms import QualityTerms
from e2i_assets.quality import QualityConfig, QualityConfigError
from e2i_assets.quality.config import Suite
from e2i_assets.settings import config_dir

SUITE = {
    "suite": "s", "table": "triggers", "description": "d",
    "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "trigger_id"}, "why": "w"}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(config_dir() / "expectations", tmp_path / "expectations")
    shutil.copy(config_dir() / "quality.yaml", tmp_path)
    return tmp_path


def changed(folder, **values):
    path = folder / "quality.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}))
    return QualityConfig.from_yaml(path)


def test_the_reviewed_settings_are_the_guides(folder):
    config = QualityConfig.from_yaml(folder / "quality.yaml")
    assert {d: c.weight for d, c in config.dimensions.items()} == {
        "completeness": 0.25, "validity": 0.25, "consistency": 0.20, "uniqueness": 0.15, "timeliness": 0.15,
    }  # fmt: skip
    assert config.block_below_score == 0.80
    assert config.dimensions["completeness"].threshold == 0.90
    assert config.dimensions["uniqueness"].threshold == 0.95
    assert config.max_staleness_days == 30
    assert {s.suite for s in config.suites} == {
        "business_metrics", "predictions", "triggers", "patient_journeys", "causal_paths",
    }  # fmt: skip


def test_every_suite_file_is_named_by_the_settings(folder):
    config = QualityConfig.from_yaml(folder / "quality.yaml")
    assert {p.stem for p in (folder / "expectations").iterdir()} == {s.suite for s in config.suites}


def test_a_suite_is_parsed_once_for_as_long_as_its_file_says_the_same(folder):
    def suites():
        return {s.suite: s for s in QualityConfig.from_yaml(folder / "quality.yaml").suites}

    before = suites()
    file = folder / "expectations" / "triggers.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "description": "another"}))
    after = suites()
    assert after["triggers"].description == "another"
    assert {name for name in before if after[name] is not before[name]} == {"triggers"}
    file.write_text("suite: [")
    for _ in range(2):
        with pytest.raises(QualityConfigError, match=r"triggers\.yaml"):
            suites()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"suites": []}, "suites"),
        ({"suites": ["no_such"]}, "no_such.yaml"),
        ({"max_staleness_days": 0}, "max_staleness_days"),
        ({"a_misspelt_setting": 1}, "a_misspelt_setting"),
        ({"refresh": "none"}, "belongs in a cohort file"),
        ({"agreed": ["all is well"]}, "belongs in a cohort file"),
        ({"dimensions": {"completeness": {"weight": 1.0, "threshold": 0.9}}}, "validity"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(folder, values, message):
    with pytest.raises(QualityConfigError, match=r"quality\.yaml|no_such\.yaml") as refused:
        changed(folder, **values)
    assert message in str(refused.value)


def test_weights_add_up_to_one(folder):
    dimensions = yaml.safe_load((folder / "quality.yaml").read_text())["dimensions"]
    dimensions["validity"]["weight"] = 0.5
    with pytest.raises(QualityConfigError, match="add up to 1"):
        changed(folder, dimensions=dimensions)


@pytest.mark.parametrize("text", ["[", "just text", ""])
def test_an_unreadable_file_is_refused(folder, text):
    (folder / "quality.yaml").write_text(text)
    with pytest.raises(QualityConfigError, match=r"quality\.yaml"):
        QualityConfig.from_yaml(folder / "quality.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": "no_such"}, "no_such"),
        ({"expectations": []}, "expectations"),
        ({"expectations": SUITE["expectations"] * 2}, "twice"),
        ({"expectations": [{"type": "t", "kwargs": {"column": "no_such"}, "why": "w"}]}, "triggers.no_such"),
        ({"expectations": [{"type": "t", "kwargs": {"column": "trigger_id"}}]}, "why"),
        (
            {"expectations": [{"type": "expect_column_max_to_be_between", "kwargs": {"column": "lead_time_days"}, "why": "w"}]},
            "values of patients",
        ),
        (
            {"expectations": [{"type": "t", "kwargs": {"column": "lead_time_days"}, "why": "w", "where": "no_such = 1"}]},
            "triggers.no_such",
        ),
        (
            {"expectations": [{"type": "t", "kwargs": {"column": "lead_time_days"}, "why": "w", "where": "((("}]},
            "SQL",
        ),
        (
            {"expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "lead_time_days"},
                               "why": "w", "where": "priority = 'low'"}]},
            "where goes with",
        ),
        (
            {"expectations": [{"type": "t", "kwargs": {"column": "hcp_id"}, "why": "w", "values_from": "hcp_profiles.hcp_id"}]},
            "values_from",
        ),
    ],
)  # fmt: skip
def test_a_suite_about_columns_that_do_not_exist_is_refused(tmp_path, change, message):
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({**SUITE, **change}))
    with pytest.raises(QualityConfigError) as refused:
        Suite.from_yaml(tmp_path / "s.yaml")
    assert message in str(refused.value)


def test_a_cohort_file_changes_what_it_names_and_the_reason_is_kept(folder):
    config = QualityConfig.from_yaml(folder / "quality.yaml")
    terms = QualityTerms(
        reason="delivered once a quarter", max_staleness_days=100, block_below_score=0.7,
        dimensions={"completeness": {"block_below": 0.3}},
    )  # fmt: skip
    changed = config.under("continuous", terms)
    assert (changed.max_staleness_days, changed.block_below_score) == (100, 0.7)
    assert changed.dimensions["completeness"].block_below == 0.3
    assert changed.dimensions["completeness"].threshold == config.dimensions["completeness"].threshold
    assert {k: v for k, v in changed.dimensions.items() if k != "completeness"} == {
        k: v for k, v in config.dimensions.items() if k != "completeness"
    }
    assert changed.agreed == (
        "block_below_score 0.7 instead of 0.8: delivered once a quarter",
        "max_staleness_days 100 instead of 30: delivered once a quarter",
        "completeness block_below 0.3 instead of 0.5: delivered once a quarter",
    )
    assert config.under("continuous", None) == config


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"block_below_score": 0.7}, "reason"),
        ({"reason": "", "block_below_score": 0.7}, "reason"),
        ({"reason": "old"}, "names no threshold"),
        ({"reason": "old", "dimensions": {"freshness": {"threshold": 0.1}}}, "freshness"),
        ({"reason": "old", "block_below_score": -1}, "block_below_score"),
        ({"reason": "old", "max_staleness_days": 0}, "max_staleness_days"),
        ({"reason": "old", "suites": []}, "suites"),
    ],
)
def test_thresholds_of_a_partition_need_a_reason_and_a_meaning(tmp_path, terms, message):
    file = tmp_path / "cohort.yaml"
    file.write_text(yaml.safe_dump({
        "cohort_name": "c", "brand": "b", "indication": "i", "inclusion_criteria": [], "quality": terms,
    }))  # fmt: skip
    with pytest.raises(CohortError, match=rf"cohort\.yaml:\d+: quality.*{message}"):
        CohortConfig.from_yaml(file)
