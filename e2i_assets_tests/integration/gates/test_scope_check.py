"""`e2i scope check` on published splits: what can be answered, what cannot and why, before training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from e2i_assets.build import build_resources
from e2i_assets.cli.main import app
from e2i_assets.cli.scope_data import NotSplitYet, check_scopes
from e2i_assets.modeling.errors import ConfigError
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.partitions import UnknownScope
from e2i_assets.settings import Settings, settings
from e2i_assets_tests.conftest import ROOT
from e2i_assets_tests.integration.gates.partition import PARTITION, changed


def test_it_says_what_there_is_and_what_stands_against_an_answer(
    here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    edited = changed(
        here,
        tmp_path,
        "scopes/conversion.yaml",
        lambda c: c.update(horizon_days=365, features={"required": ["ldh_ratio"]}),
    )
    shutil.copy(ROOT / "config/scopes/churn.yaml", edited.config_dir / "scopes")
    (edited.config_dir / "scopes" / "wrong.yaml").write_text("name: wrong\n")
    assert here.database_url is not None
    monkeypatch.setenv("E2I_CONFIG", str(edited.config_dir))
    monkeypatch.setenv("E2I_HOME", str(here.home_dir))
    monkeypatch.setenv("E2I_DATABASE_URL", here.database_url.get_secret_value())
    settings.cache_clear()
    request.addfinalizer(settings.cache_clear)
    done = CliRunner().invoke(app, ["scope", "check", "-p", PARTITION, "--json"])
    document = json.loads(done.stdout)
    (conversion,) = document["scopes"]
    assert (done.exit_code, document["answerable"], conversion["answerable"]) == (1, False, False)
    codes = [obstacle["code"] for obstacle in conversion["obstacles"]]
    assert codes == ["horizon_beyond_followup", "required_features_missing"]
    store = build_resources(here)["store"]
    # Not listed by the cohort yet; the audit of train has found nothing.
    ((checked),) = check_scopes(edited, store, "churn", [PARTITION])
    evidence = checked.evidence
    assert evidence.obstacles == ()
    assert 150 < evidence.known < evidence.patients
    assert 40 < evidence.events < evidence.known / 2
    assert any("is unknown; they are left out" in remark for remark in evidence.remarks)
    # What is a feature is no outcome, though no model is to see it.
    decile = {"name": "decile", "target": "hcp_decile", "features": {"exclude": ["hcp_decile"]}}
    known = yaml.safe_load((ROOT / "config/scopes/ltv.yaml").read_text())
    (edited.config_dir / "scopes" / "decile.yaml").write_text(yaml.safe_dump(known | decile))
    load_scopes.cache_clear()
    ((checked),) = check_scopes(edited, store, "decile", [PARTITION])
    assert [obstacle.code for obstacle in checked.evidence.obstacles] == ["not_audited"]
    # The other partitions, which no scope churn is listed by either, have no splits and are passed over.
    assert [one.partition for one in check_scopes(edited, store, "churn", [])] == [PARTITION]
    with pytest.raises(NotSplitYet, match="no splits are published"):
        check_scopes(edited, store, None, ["fabhalta_pnh"])
    with pytest.raises(UnknownScope, match="no scope nosuch; there are churn, conversion, decile"):
        check_scopes(edited, store, "nosuch", [])
    with pytest.raises(ConfigError, match=r"wrong\.yaml"):
        check_scopes(edited, store, "wrong", [])
