"""Which predictions were given, for whom asks later how good they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from e2i_assets.observability.background import Background
from e2i_assets.observability.database import Database

PLACES = 20_000
"""Rows that wait to be written; a minute of a busy service."""
_INSERT = """
INSERT INTO e2i.ml_prediction_log (request_id, row, predicted_at, service, release, model_name, version, stage,
    patient_journey_id, prediction, prediction_class, probabilities, lower_bound, upper_bound, features, latency_ms)
SELECT * FROM jsonb_to_recordset(%s::jsonb) AS r(request_id text, row integer, predicted_at timestamptz, service text,
    release text, model_name text, version text, stage text, patient_journey_id text, prediction double precision,
    prediction_class text, probabilities jsonb, lower_bound double precision, upper_bound double precision,
    features jsonb, latency_ms double precision)
ON CONFLICT DO NOTHING"""  # noqa: E501 - a request that a client sent again was logged already


class Answered(NamedTuple):
    """A request and what it was answered.

    Attributes:
        request_id: of the client, the same when it tries again; else made up.
        rows: none where no feature is logged.
        journeys: whom the rows are about, where the client says so.
        logged_features: of each row, what the scope lets be kept.
    """

    request_id: str
    rows: Sequence[Mapping[str, Any]]
    journeys: Sequence[str | None] | None
    answer: Mapping[str, Any]
    logged_features: Sequence[str]


class PredictionLog:
    """Writes what was answered into `ml_prediction_log`, off the path of requests."""

    def __init__(self, url: str, service: str, release: str) -> None:
        self._database, self._common = Database(url), {"service": service, "release": release}
        self.background = Background("prediction log", self._write, PLACES)

    def close(self) -> None:
        """Write what waits."""
        self.background.close()

    def offer(self, request: Answered) -> None:
        """Hand over what was answered; comes back at once."""
        self.background.offer(request, len(request.answer["predictions"]))

    def _write(self, requests: list[Answered]) -> None:
        """A request that the database refuses takes no other with it."""
        self._database.insert_each(_INSERT, requests, self._rows, self.background.drop)

    def _rows(self, request: Answered) -> list[dict[str, Any]]:
        answer, about = request.answer, request.answer["_metadata"]
        common = self._common | {
            "request_id": request.request_id,
            "predicted_at": about["timestamp"],
            "model_name": about["model_name"],
            "version": about["version"],
            "stage": about["stage"],
            "latency_ms": about["latency_ms"],
        }
        rows = []
        for number, prediction in enumerate(answer["predictions"]):
            of_class = isinstance(prediction, str)
            rows.append(
                common
                | {
                    "row": number,
                    "patient_journey_id": request.journeys[number] if request.journeys else None,
                    "prediction": None if of_class else prediction,
                    "prediction_class": prediction if of_class else None,
                    "probabilities": _of(answer, "probabilities", number),
                    "lower_bound": _of(answer, "lower_bounds", number),
                    "upper_bound": _of(answer, "upper_bounds", number),
                    "features": {name: _text(request.rows[number][name]) for name in request.logged_features}
                    or None,
                }
            )
        return rows


def _of(answer: Mapping[str, Any], name: str, number: int) -> Any:
    return answer[name][number] if name in answer else None


def _text(value: Any) -> Any:
    """A value of a feature; jsonb has no NUL."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
