"""Which versions of a service leave evidence: those in stage shadow, whether they answer or are beside."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from e2i_assets.serving.server.running import LOG_URL, Service
from e2i_assets.serving.server.shadow import Asked

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def model(version: str, stage: str, role: str, gives: float = 0.5) -> Any:
    return SimpleNamespace(
        name="m", version=version, stage=stage, role=role, load_seconds=0.1,
        given=lambda rows: rows, figures=lambda given: np.array([gives]),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("active", "beside", "evidence"),
    [
        (model("1", "shadow", "active"), [], {"1": None}),
        (model("2", "shadow", "active"), [model("1", "shadow", "shadow", 0.75)], {"1": 0.25, "2": None}),
        (model("1", "production", "active"), [model("2", "shadow", "shadow", 0.75)], {"2": 0.25}),
        (model("1", "staging", "active"), [], None),
    ],
)
def test_evidence_is_of_versions_in_stage_shadow(
    active: Any, beside: list[Any], evidence: dict[str, float | None] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOG_URL, "postgresql://127.0.0.1:1/nowhere")
    service = Service("classification-service", "r", [active], beside)
    if evidence is None:
        assert service.shadows is None
        return
    assert service.shadows is not None
    monkeypatch.setattr(service.shadows, "_clock", lambda: NOON)
    service.shadows._score(Asked("m", [{}], np.array([0.5])))
    service.remember_failure(active, [{}], {"headers": []})
    service.shadows.background.close()
    service.shadows._gather(whole_minutes=False)
    rows = {str(row["version"]): row for row in service.shadows._evidence}
    assert {version: row["mean_difference"] for version, row in rows.items()} == evidence
    # What the one that answers could not answer is an error of its own, and of nobody beside it.
    counts = {version: (row["requests"], row["errors"]) for version, row in rows.items()}
    assert counts == {version: (2, int(version == active.version)) for version in evidence}
