"""Validations of causal effects on record: the newest comes back whole, an error's words stay out."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from e2i_assets.causal.asking import LibraryResult
from e2i_assets.causal.cross_validation import CrossValidation, concluded
from e2i_assets.causal.report import Effect
from e2i_assets.warehouse.queries.causal import newest_causal_validation, record_causal_validation
from e2i_assets.warehouse.records import causal_validations
from e2i_assets.warehouse.warehouse import Warehouse

ASKED = CrossValidation("not_identified", "engaged", "initiated", ("age",), rows=400, folds=5, seed=0)
EFFECT = Effect(0.1, 0.05, 0.15, 0.0001, 0.025)
SAID = [
    LibraryResult("dowhy", "0.14", "doubly robust", 0.4, EFFECT),
    LibraryResult("econml", "0.17.0", "doubly robust", 0.3, replace(EFFECT, estimate=0.12)),
    LibraryResult("causalml", "0.18.0", "TMLE", 0.1, error="ValueError", detail="row 7: 1953-02-11"),
]


def test_a_validation_comes_back_without_the_words_of_an_error(warehouse: Warehouse) -> None:
    assert newest_causal_validation(warehouse, "fabhalta_pnh", "uplift") is None
    failed = concluded(ASKED, SAID[2:], outcome_sd=0.5)
    record_causal_validation(warehouse, "fabhalta_pnh", "uplift", "run 1", failed)
    result = newest_causal_validation(warehouse, "fabhalta_pnh", "uplift")
    assert result == replace(failed, libraries=(replace(SAID[2], detail=""),))
    agreed = concluded(ASKED, SAID[:2], outcome_sd=0.5)
    record_causal_validation(warehouse, "fabhalta_pnh", "uplift", "run 2", agreed)
    assert newest_causal_validation(warehouse, "fabhalta_pnh", "uplift") == agreed
    assert newest_causal_validation(warehouse, "fabhalta_c3g", "uplift") is None
    with warehouse.engine.connect() as connection:
        rows = connection.execute(sa.select(causal_validations).order_by(causal_validations.c.id)).all()
    assert [(row.status, row.agreement_score, row.effect) for row in rows] == [
        ("incomplete", None, None),
        ("passed", agreed.agreement_score, agreed.consensus_effect),
    ]
    assert [row.effect_low for row in rows] == [None, 0.05]
    assert "1953" not in str(rows)
