"""What was tried on causal estimates, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from e2i_assets.causal.cross_validation import CrossValidation
from e2i_assets.json_files import from_json, to_json
from e2i_assets.warehouse.records import causal_validations

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

CROSS_LIBRARY = "cross_library"


def record_causal_validation(
    warehouse: Warehouse, partition: str, scope: str, run_id: str, validated: CrossValidation
) -> None:
    """Write down what the libraries said, passed or not; of an error its kind, whose words may quote rows."""
    low, high = validated.consensus_interval or (None, None)
    row = {
        "partition": partition,
        "scope": scope,
        "test_type": CROSS_LIBRARY,
        "status": validated.status,
        "treatment_variable": validated.treatment,
        "outcome_variable": validated.outcome,
        "covariates": list(validated.covariates),
        "rows": validated.rows,
        "agreement_score": validated.agreement_score,
        "effect": validated.consensus_effect,
        "effect_low": low,
        "effect_high": high,
        "details": to_json(validated.written),
        "run_id": run_id,
    }
    warehouse.record(causal_validations, [row])


def newest_causal_validation(warehouse: Warehouse, partition: str, scope: str) -> CrossValidation | None:
    """What the libraries said last; None where they were not asked."""
    validation = causal_validations.c
    query = (
        sa.select(validation.details)
        .where(
            validation.partition == partition,
            validation.scope == scope,
            validation.test_type == CROSS_LIBRARY,
        )
        .order_by(validation.id.desc())
        .limit(1)
    )
    with warehouse.engine.connect() as connection:
        details = connection.scalar(query)
    return None if details is None else from_json(CrossValidation, details)
