"""What is known of a model already: what test told of it, and what the generator of synthetic data knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from e2i_assets.contracts.levels import GENERATED
from e2i_assets.ingest.synthetic.declared import DECLARED, Declared
from e2i_assets.resources.sealing import VaultError
from e2i_assets.stages.context import StageContext

if TYPE_CHECKING:
    import numpy as np

    from e2i_assets.modeling.uplift.rows import CausalRows

T = TypeVar("T")


def test_told(context: StageContext, fingerprint: str, kind: TypeAdapter[T]) -> T | None:
    """What test told of a model when it was opened; None where it was not.

    Raises:
        VaultError: it is in another release's form.
    """
    record = context.vault.result(context.partition, "test", fingerprint)
    if record is None:
        return None
    try:
        return kind.validate_python(record)
    except ValidationError as error:
        raise VaultError(
            f"what test told of model {fingerprint[:16]} was recorded by another release, in a "
            "form that this one cannot read; test does not open for it again.",
            "Use that release for this model, or train another model.",
        ) from error


def generator_knows(context: StageContext) -> Declared | None:
    """What the generator of synthetic data knows; None where there are none."""
    current = context.store.current(DECLARED, GENERATED)
    return None if current is None else context.open(current, Declared)


def true_effects(declared: Declared, rows: CausalRows) -> np.ndarray | None:
    """The true effect on each of these patients; None where the generator knows none of theirs."""
    scope, journeys = rows.scope, rows.frame["patient_journey_id"]
    return declared.true_effects(scope.treatment, scope.target, journeys, rows.y)
