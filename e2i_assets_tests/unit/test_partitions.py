"""Partitions and what their files name."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from e2i_assets.build import build_defs
from e2i_assets.cli.runner import NothingSelected, last_line, run_partitions
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.partitions import (
    UnknownScope,
    cohort_config,
    cohort_configs,
    declared_partitions,
    wrong_files,
)
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import CONFIG, config_with_examples, shipped_config


def test_a_cohort_file_that_lists_an_unknown_scope_is_named(tmp_path: Path) -> None:
    config = shipped_config(tmp_path)
    file = config / "cohorts" / "fabhalta_pnh.yaml"
    file.write_text(file.read_text().replace("scopes: [conversion]", "scopes: [conversion, conversoin]"))
    with pytest.raises(
        UnknownScope, match=r"fabhalta_pnh\.yaml: scopes: .* conversoin; there are conversion"
    ):
        cohort_config(config, "fabhalta_pnh")


def spoil(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("brand: Fabhalta", "brand: Fabhalta\nbrand: Other", "stands twice"),
        ("scopes: [conversion]", "scopes: [conversoin]", "no file in"),
        ("inclusion_criteria:", "inclusion_criterai:", "no such key"),
    ],
)
def test_a_wrong_cohort_file_stops_its_own_partition_only(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    config = shipped_config(tmp_path)
    spoil(config / "cohorts" / "fabhalta_pnh.yaml", old, new)
    assert list(cohort_configs(config)) == ["fabhalta_c3g", "kisqali_hr_her2_bc", "remibrutinib_csu"]
    assert list(wrong_files(config)) == ["fabhalta_pnh"]
    assert message in wrong_files(config)["fabhalta_pnh"]
    if "twice" not in message:
        assert ("Fabhalta", "pnh") in declared_partitions(config)
    here = Settings(config=config)
    defs = build_defs(here)
    with dg.DagsterInstance.ephemeral() as instance:
        (run,) = run_partitions(defs, instance, here, ["fabhalta_pnh"], show=False)
    assert not run.success
    assert message in str(run.error)


def test_a_wrong_scope_stops_the_partitions_that_list_it_only(tmp_path: Path) -> None:
    config = config_with_examples(tmp_path)
    spoil(config / "scopes" / "recurrence.yaml", "target:", "targte:")
    assert list(wrong_files(config)) == ["tamoxifen_breast_cancer"]
    assert "recurrence.yaml:" in wrong_files(config)["tamoxifen_breast_cancer"]
    assert list(load_scopes(config / "scopes")) == ["conversion"]
    assert "fabhalta_pnh" in cohort_configs(config)


@pytest.mark.parametrize("select", ["nope", "((", "", "status:x", "key:nope", "group:nope"])
def test_a_selection_of_nothing_is_said(select: str) -> None:
    here = Settings(config=CONFIG)
    with (
        dg.DagsterInstance.ephemeral() as instance,
        pytest.raises(NothingSelected, match="For instance: cohort"),
    ):
        run_partitions(build_defs(here), instance, here, ["fabhalta_pnh"], select=select, show=False)


def test_a_partition_to_which_nothing_of_the_selection_applies_is_passed_over(tmp_path: Path) -> None:
    here = Settings(config=config_with_examples(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        (run,) = run_partitions(
            build_defs(here),
            instance,
            here,
            ["tamoxifen_breast_cancer"],
            select="group:conversion",
            show=False,
        )
    assert run.success
    assert "its scopes are recurrence" in str(run.passed_over)


def test_the_display_has_the_last_line_of_a_run() -> None:
    instance, lines = dg.DagsterInstance.ephemeral(), list[str]()

    @dg.op
    def study(context) -> None:
        lines.append(last_line(instance, context.run_id))
        context.log.info("trial 3 of 50: best 0.8123")
        lines.append(last_line(instance, context.run_id))

    @dg.job
    def search() -> None:
        study()

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    search.execute_in_process(instance=instance, run_config=quiet)
    assert lines == ["", "trial 3 of 50: best 0.8123"]
