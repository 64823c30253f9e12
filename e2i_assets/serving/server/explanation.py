"""What each feature adds to the score behind one prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from e2i_assets.modeling.explanation.contributions import bare, summed

TOLERANCE = 1e-4
"""By how much values and base may miss the score, as a share of what is added up: boosters reckon in single
precision."""


class Explainer:
    """Takes predictions of one model apart, or says why it does not.

    What is needed for that is made when it is first asked for: most processes never are.
    """

    def __init__(
        self,
        pipeline: Any,
        facts: Mapping[str, Any],
        answer: Mapping[str, Any],
        features: Sequence[Mapping[str, Any]],
    ) -> None:
        """Keep what is needed; `facts` are the `explanation` of a bundle's schema, `answer` its `answer`."""
        self._pipeline, self._facts, self._answer = pipeline, facts, answer
        self._features = [feature["name"] for feature in features]

    @property
    def available(self) -> bool:
        """Whether predictions are taken apart."""
        return "unavailable" not in self._facts

    @cached_property
    def _contributions(self) -> Any:
        import numpy as np

        reference = self._facts["reference"]
        return self._model.contributions(None if reference is None else np.array(reference))

    @cached_property
    def _model(self) -> Any:
        return bare(self._pipeline[-1])

    def explain(self, frame: Any) -> dict[str, Any]:
        """Of the frame of one row: `scale`, `base`, `score` and, the largest first, the `contributions`,
        which with the base add up to the score; of several classes, each a number for every one.

        Raises:
            RuntimeError: they do not add up, with the libraries that are installed here.
        """
        import numpy as np

        if not self.available:
            return dict(self._facts)
        M = np.asarray(self._pipeline[0].transform(frame), dtype=float)
        (values,), base = self._contributions(M)
        values = summed(values[None], self._facts["sources"], self._features)[0]
        (score,) = self._model.score(M)
        missed = np.abs(values.sum(axis=0) + base - score)
        if not (missed <= TOLERANCE * np.maximum(1.0, np.abs(values).sum(axis=0) + np.abs(base))).all():
            raise RuntimeError("the contributions of the features do not add up to the model's score")
        values, base, score = self._of_answer(values, base, score)
        order = np.argsort(-np.abs(values).mean(axis=1), kind="stable")
        return {
            "scale": self._facts["scale"],
            "base": self._told(base),
            "score": self._told(score),
            "contributions": {self._features[place]: self._told(values[place]) for place in order},
        }

    def _of_answer(self, values: Any, base: Any, score: Any) -> tuple[Any, Any, Any]:
        """In the order of the answer's classes; a score of the other class of two turned round."""
        columns = self._answer["columns"]
        if len(base) > 1:
            return values[:, columns], base[columns], score[columns]
        if columns and columns[-1] == 0:
            whole = 1.0 if self._facts["scale"].startswith("probability") else 0.0
            return -values, whole - base, whole - score
        return values, base, score

    def _told(self, outputs: Any) -> Any:
        """A number, or one for each class by its name."""
        if len(outputs) == 1:
            return float(outputs[0])
        return dict(zip(self._answer["labels"], outputs.tolist(), strict=True))
