"""One model that is served: verified, loaded, and held against what it gave when it was bundled."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from e2i_assets.modeling.selection.one_row import TOLERANCE, asked, compiled
from e2i_assets.serving.server.answers import told
from e2i_assets.serving.server.explanation import Explainer
from e2i_assets.serving.server.release import verified
from e2i_assets.serving.server.request_schema import Row, doubter, request_models, to_frame

_OF_EXPLANATION = ("scale", "unavailable")
"""What is told of how predictions are taken apart."""


class Model:
    """Answers rows of named features.

    Attributes:
        name: by which requests ask for it.
        version, stage, role: of the registry; a bundle that no release has taken up is in development.
        partition: of the platform; None of a bundle that was built by hand.
        logged_features: what of a request may be kept, as its scope says.
        gives: what kind of answer (`modeling.problems.base.Answer`).
        schema: its `schema.json`.
        request, batch_request: what the body of a request must be like.
        load_seconds: from its files to its first right answer.
    """

    def __init__(self, member: Mapping[str, Any], folder: Path) -> None:
        """Load a member of a release whose files are in a folder.

        Raises:
            RuntimeError: its files are not what was registered, or it answers otherwise than when it was
                bundled.
        """
        import joblib

        start = time.perf_counter()
        files = verified(member, folder)
        self.schema: dict[str, Any] = json.loads(files["schema.json"])
        self.name, self.version = member["model_name"], member["version"]
        self.stage, self.role = member["stage"], member["role"]
        self.model_id = self.schema["model_id"]
        self.partition: str | None = self.schema["metadata"].get("partition")
        self._answer, self._columns = self.schema["answer"], self.schema["answer"]["columns"]
        self.logged_features: Sequence[str] = self.schema["logged_features"]
        self.gives = self._answer["gives"]
        self.request, self.batch_request = request_models(self.schema["features"], self.name)
        self._doubts = doubter(self.schema["features"])
        pipeline = joblib.load(io.BytesIO(files["pipeline.joblib"]))
        self._whole = asked(pipeline, self._answer["method"])
        self._explainer = Explainer(
            pipeline, self.schema["explanation"], self._answer, self.schema["features"]
        )
        self._one_row = None
        if self.schema["one_row"] == "compiled":
            self._one_row = compiled(pipeline, self._answer["method"])
        self._check()
        self.load_seconds = time.perf_counter() - start

    @property
    def quick(self) -> bool:
        """Whether a row alone is answered within the fraction of a millisecond."""
        return self._one_row is not None

    def given(self, rows: Sequence[Row]) -> Any:
        """What the pipeline gives for each row: a number for each column of the answer, or one."""
        if self._one_row and len(rows) == 1:
            given = self._one_row(rows[0]).astype(float)
            return given[None, self._columns] if self._columns else given
        given = self._whole(to_frame(self.schema["features"], rows)).astype(float)
        return given[:, self._columns] if self._columns else given

    def answer(
        self, rows: Sequence[Row], start: float, *, explain: bool = False
    ) -> tuple[Any, dict[str, Any]]:
        """What the pipeline gives, and the answer to a request that arrived at `start` (`perf_counter`).

        Args:
            explain: tell what each feature of the only row adds to the score.
        """
        warnings = self._doubts(rows)
        before = time.perf_counter()
        given = self.given(rows)
        end = time.perf_counter()
        explained = {}
        if explain:
            explained["explanation"] = self._explainer.explain(to_frame(self.schema["features"], rows))
        return given, {
            **told(given, self._answer),
            **explained,
            "model_id": self.model_id,
            "prediction_time_ms": round(1000 * (end - before), 3),
            "_metadata": {
                "model_name": self.name,
                "version": self.version,
                "stage": self.stage,
                "latency_ms": round(1000 * ((time.perf_counter() if explain else end) - start), 3),
                "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "warnings": warnings,
            },
        }

    def figures(self, given: Any) -> Any:
        """One number for each row of what the pipeline gives, shape (rows,): the effect, the value, the
        probability of the positive or of the last class.
        """
        import numpy as np

        if self.gives == "effect":
            return np.array(told(given, self._answer)["predictions"])
        return given.reshape(len(given), -1)[:, -1]

    def nobody(self) -> dict[str, Any]:
        """What is told of somebody of whom nothing is known, asked for now."""
        return told(self.given([dict.fromkeys(f["name"] for f in self.schema["features"])]), self._answer)

    def info(self) -> dict[str, Any]:
        """What the model is: features, what it answers and the metadata recorded when it was built."""
        return {
            **{key: self.schema[key] for key in self.schema if key not in ("golden", "explanation")},
            "explanation": {k: v for k, v in self.schema["explanation"].items() if k in _OF_EXPLANATION},
            "version": self.version,
            "stage": self.stage,
        }

    def _check(self) -> None:
        """Refuse to serve when the libraries here do not give what was seen when building."""
        import numpy as np

        golden = self.schema["golden"]
        rows, then = [one["features"] for one in golden], np.array([one["given"] for one in golden])
        alone = np.concatenate([self.given([row]) for row in rows])
        for now in (alone, self.given([*rows, rows[0]])[:-1]):
            gap = np.abs(now.reshape(then.shape) - then)
            if not (gap <= TOLERANCE * np.maximum(1.0, np.abs(then))).all():
                raise RuntimeError(
                    f"{self.model_id}: self-check failed, the pipeline does not give what it gave when "
                    "the bundle was built; install the versions in env/python/requirements.txt"
                )
