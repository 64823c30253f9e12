"""Time of `/predict` on a bundle against a bare BentoML service with the same pipeline.

    python -m e2i_assets_tests.benchmarks.bench_serving [requests]

Both servers run at the same time and are asked in turn, over one kept-alive connection each. Prints start
time, p50 and p99 of each, and the ratio of the p50s (bar: 0.7).
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import joblib
import numpy as np
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier

from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.serving import bento_store, build_bundle
from e2i_assets_tests.serve_process import served
from e2i_assets_tests.serving_toy import FEATURES, LEVELS, ROW, USUAL, toy_pipeline

BARE = """
from typing import Any

import bentoml


@bentoml.service(name="bare")
class Bare:
    def __init__(self) -> None:
        import joblib
        import pandas

        self.frame = pandas.DataFrame
        self.pipeline = joblib.load("pipeline.joblib")

    @bentoml.api
    def predict(self, features: dict[str, Any]) -> list[float]:
        return self.pipeline.predict_proba(self.frame([features]))[0].tolist()
"""


def _bundle(pipeline: Pipeline, home: Path) -> str:
    with bento_store(home):
        return build_bundle(
            pipeline,
            FEATURES,
            name="e2i-bench",
            version="v1",
            answer=Binary().answer(pipeline.classes_, "initiated", 0.5),
            metadata={},
            levels=LEVELS,
            usual=USUAL,
        ).tag


def _bare(pipeline: Pipeline, home: Path) -> str:
    home.mkdir()
    (home / "bare.py").write_text(BARE)
    joblib.dump(pipeline, home / "pipeline.joblib")
    return "bare:Bare"


def main(requests: int = 500) -> None:
    """Run the comparison and print it."""
    pipeline = toy_pipeline(XGBClassifier(n_estimators=300, max_depth=5, random_state=7, n_jobs=1))
    body = {"features": ROW}
    times: dict[str, list[float]] = {"bundle": [], "bare": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clients = {}
        for name, make in (("bundle", _bundle), ("bare", _bare)):
            target = make(pipeline, folder / name)
            start = time.perf_counter()
            url = stack.enter_context(served(target, folder / name, folder / f"{name}.log"))
            print(f"{name:7} ready after {time.perf_counter() - start:.1f} s")
            clients[name] = stack.enter_context(httpx.Client(base_url=url, timeout=30))
        for turn in range(requests + 20):
            for name, client in clients.items():
                start = time.perf_counter()
                client.post("/predict", content=json.dumps(body)).raise_for_status()
                if turn >= 20:
                    times[name].append(1000 * (time.perf_counter() - start))
    for name, measured in times.items():
        p50, p99 = np.percentile(measured, [50, 99])
        print(f"{name:7} p50 {p50:.2f} ms  p99 {p99:.2f} ms")
    ratio = np.median(times["bundle"]) / np.median(times["bare"])
    print(f"ratio of p50: {ratio:.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
