"""How verdicts and published versions look in Dagit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from e2i_assets.contracts import markdown
from e2i_assets.gates.verdict import Verdict
from e2i_assets.resources.pages import PAGES
from e2i_assets.resources.store import Published

REUSED = "reused"
"""Metadata key: the published version is current, nothing was computed."""

CODE_CHANGED = "code_changed"
"""Metadata key: computed although a version was published, by other code than today's."""

WHY = "made_because"
"""Metadata key: what had changed, or was wrong with the version before."""

NOT_SERVED = "not_served"
"""Metadata key: the scope does not serve the partition, nothing was computed or published."""


def check(
    asset_key: dg.AssetKey,
    gate: str,
    verdict: Verdict,
    about: str,
    where: Mapping[str, Any],
    *,
    blocking: bool = True,
) -> dg.AssetCheckResult:
    """A verdict as Dagster's check result, the most important first.

    Args:
        about: partition and day, because Dagit shows an asset's last result whatever partition it is of.
        where: links to what was judged.
        blocking: whether it is a gate; else it only warns.
    """
    figures = {k: v if v is not None else "none" for k, v in verdict.figures.items()}
    advice = {"next_step": verdict.next_step} if verdict.next_step else {}
    rows = [dg.TableRecord({k: plain(v) for k, v in row.items()}) for row in verdict.rows]
    table = {"found": dg.MetadataValue.table(rows)} if rows else {}
    return dg.AssetCheckResult(
        passed=verdict.passed,
        asset_key=asset_key,
        check_name=gate,
        severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
        # Dagit takes it for Markdown, and what was found names columns and values of data.
        description=markdown.plain(f"{about}: {verdict.summary}"),
        metadata=rounded({"reason": verdict.reason, **advice, **table, **figures, **where}),
    )


def rounded(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as a person reads them, to four digits; what is computed with them keeps them all."""
    return {name: plain(value) if isinstance(value, float) else value for name, value in metadata.items()}


def plain(value: Any) -> str | int | float | bool:
    """A cell of a table."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return value if isinstance(value, str | int | bool) else ("" if value is None else str(value))


def not_served(scope: str, partition: str) -> dg.MaterializeResult:
    """What a stage says of a partition that its scope does not serve, with nothing to publish.

    Saying nothing would leave the partition missing in Dagit for ever, and fail every backfill that has it.
    """
    return dg.MaterializeResult(
        value=None,
        metadata={NOT_SERVED: passed_over(scope, partition)},
        data_version=dg.DataVersion(NOT_SERVED),
    )


def passed_over(scope: str, partition: str) -> str:
    """Why nothing is computed."""
    return (
        f"Nothing is computed: scope {scope} does not serve {partition}. To have it, list {scope} under "
        f"scopes in config/cohorts/{partition}.yaml."
    )


def serialize(metadata: Mapping[str, Any], checks: Sequence[dg.AssetCheckResult]) -> str:
    """What Dagit shows of a publication, to be shown again when the version is reused."""
    shown: Any = {
        "metadata": dict(dg.AssetMaterialization(asset_key="_", metadata=metadata).metadata),
        "checks": {
            c.check_name: {
                "description": c.description,
                "metadata": dict(c.metadata),
                "passed": c.passed,
                "severity": c.severity.value,
            }
            for c in checks
        },
    }
    return dg.serialize_value(shown)


def republished(current: Published) -> dg.MaterializeResult:
    """The published version once more, as it was shown when it was made."""
    shown = dg.deserialize_value(current.display, dict)
    if "pages" in shown:  # a version from when pages had a host and a port of their own
        shown = dg.deserialize_value(current.display.replace(shown["pages"], PAGES), dict)
    key = dg.AssetKey(current.asset.split("/"))
    return dg.MaterializeResult(
        asset_key=key,
        value=current,
        metadata={**shown["metadata"], REUSED: True},
        data_version=dg.DataVersion(current.version),
        check_results=[
            dg.AssetCheckResult(
                passed=check.get("passed", True),  # earlier versions have gates alone, all passed
                severity=dg.AssetCheckSeverity(check.get("severity", "ERROR")),
                asset_key=key,
                check_name=gate,
                description=check["description"],
                metadata=check["metadata"],
            )
            for gate, check in shown["checks"].items()
        ],
    )
