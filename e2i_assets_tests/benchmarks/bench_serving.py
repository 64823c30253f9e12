"""What a prediction through a service costs, against others around the same pipeline, in one run.

    python -m e2i_assets_tests.benchmarks.bench_serving [requests]

Beside our service behind its router, with its metrics on, and prediction log and spans (of a tenth of the
requests, as is the default) written to a PostgreSQL: a bare `@bentoml.api` service around the same scikit-learn pipeline, and a
bare Starlette endpoint that does the same arithmetic (`selection.one_row`), both without a router. All run at
the same time and are asked in turn over one kept-alive connection each, then each by itself by 8 clients. CPU is
that of the server's processes, of ours the router's included, less what they take at rest in the time: the
router asks the service ten times a second whether it is the one, however much or little it is asked. Then a
batch of 1,000 rows against the in-process call and its JSON, the service without its router, what of a request
is tracing, until spans are in the database, and the start and memory of a service with 8 models.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import joblib
import numpy as np
import psutil
import psycopg
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier

from e2i_assets.deployment.router import LOOPBACK, configuration, environment, program
from e2i_assets.file_hashes import hash_of, hashes
from e2i_assets.modeling.data import transform
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.serving import ReleaseMember, bento_store, build_bundle, build_release
from e2i_assets.serving.schema import feature_schema
from e2i_assets.serving.server.request_schema import to_frame
from e2i_assets.serving.server.tracing import Tracing
from e2i_assets.settings import Settings
from e2i_assets.warehouse.postgres import url_for
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.benchmarks.one_row import FEATURES, LEVELS, frame, split
from e2i_assets_tests.conftest import installation, postgres_home
from e2i_assets_tests.serve_process import free_port, running, served

WARM_UP = 50
CLIENTS = 8
BATCH = 1000
BATCHES = 30
MODELS = 8
"""Of a service whose start is timed."""
SETTLE_S = 3.0
REST_S = 10.0
BARS = {
    "CPU per request / bare BentoML": 0.25,
    "p50 / bare BentoML": 0.35,
    "bare BentoML's requests/s with 8 clients / ours": 1 / 3,
    "CPU per request / bare Starlette": 2.5,
    "batch of 1,000 / in process with JSON": 1.2,
    "tracing / CPU of a request without the router": 0.02,
    "start with 8 models, s": 15.0,
}
BARE_BENTO = """
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
BARE_STARLETTE = """
import joblib
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from e2i_assets.modeling.selection.one_row import compiled

answer = compiled(joblib.load("pipeline.joblib"), "predict_proba")


async def predict(request):
    features = (await request.json())["features"]
    return JSONResponse(answer(features).tolist())


async def ready(request):
    return JSONResponse({})


app = Starlette(routes=[Route("/predict", predict, methods=["POST"]), Route("/readyz", ready)])
"""


@dataclass
class Server:
    """A server that is asked, and what it is asked with."""

    url: str
    processes: tuple[psutil.Process, ...]

    @property
    def family(self) -> list[psutil.Process]:
        """Its processes with all that they started."""
        return [one for first in self.processes for one in (first, *first.children(recursive=True))]

    def cpu(self) -> float:
        """CPU seconds of the server and all of its processes."""
        times = [one.cpu_times() for one in self.family]
        return sum(one.user + one.system for one in times)

    def memory(self) -> float:
        """MB of its largest process."""
        return max(one.memory_info().rss for one in self.family) / 2**20


@contextmanager
def _with_process(context: Any) -> Iterator[Server]:
    """A server with its process: the newest child of this process."""
    before = {child.pid for child in psutil.Process().children()}
    with context as url:
        (process,) = [child for child in psutil.Process().children() if child.pid not in before]
        yield Server(url, (process,))


def _members(pipeline: Pipeline, levels: dict[str, list[str]], number: int) -> list[ReleaseMember]:
    members = []
    for name in (f"model_{place}" for place in range(number)):
        bundle = build_bundle(
            pipeline, FEATURES, name=name, version="v1", answer=Binary().answer(pipeline.classes_, "initiated", 0.5),
            metadata={}, levels=levels, usual={},
        )  # fmt: skip
        members.append(ReleaseMember(name, 1, bundle.tag, hash_of(hashes(bundle.path)), "production"))
    return members


class Connection:
    """A kept-alive connection that costs its own process little, so that the server is what is timed."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)

    async def open(self) -> Connection:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        return self

    async def post(self, path: str, body: bytes) -> tuple[float, bytes]:
        """Seconds until the whole answer was read, and its body."""
        start = time.perf_counter()
        head = f"POST {path} HTTP/1.1\r\nHost: {self._address.netloc}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not answer.startswith(b"http/1.1 200"):
            raise RuntimeError(f"{path}: {answer!r}")
        length = int(answer.partition(b"content-length:")[2].partition(b"\r\n")[0])
        content = await self._reader.readexactly(length)
        return time.perf_counter() - start, content


def _percentiles(times: list[float]) -> str:
    p50, p99 = np.percentile(np.array(times) * 1000, [50, 99])
    return f"p50 {p50:.2f} ms  p99 {p99:.2f} ms"


async def _in_turn(
    servers: dict[str, Server], bodies: dict[str, bytes], requests: int
) -> tuple[dict[str, float], dict[str, float]]:
    """CPU seconds per request and the median of each, asked in turn over one connection each."""
    times: dict[str, list[float]] = {name: [] for name in servers}
    at_rest = await _at_rest(servers)
    connections = {name: await Connection(server.url).open() for name, server in servers.items()}
    for name, connection in connections.items():
        for _ in range(WARM_UP):
            await connection.post("/predict", bodies[name])
    await asyncio.sleep(SETTLE_S)
    before = {name: server.cpu() for name, server in servers.items()}
    start = time.perf_counter()
    for _ in range(requests):
        for name, connection in connections.items():
            times[name].append((await connection.post("/predict", bodies[name]))[0])
    await asyncio.sleep(SETTLE_S)  # what is written down afterwards costs as well
    seconds = time.perf_counter() - start
    cpu = {
        name: (server.cpu() - before[name] - at_rest[name] * seconds) / requests
        for name, server in servers.items()
    }
    for name, measured in times.items():
        rest = f"at rest {100 * at_rest[name]:.1f} % of a core"
        print(
            f"{name:10} one client: {_percentiles(measured)}  CPU {1000 * cpu[name]:.2f} ms/request, {rest}"
        )
    return cpu, {name: float(np.median(measured)) for name, measured in times.items()}


async def _at_rest(servers: dict[str, Server]) -> dict[str, float]:
    """CPU seconds in a second that nobody asks in."""
    await asyncio.sleep(SETTLE_S)
    before = {name: server.cpu() for name, server in servers.items()}
    await asyncio.sleep(REST_S)
    return {name: (server.cpu() - before[name]) / REST_S for name, server in servers.items()}


async def _by_many(servers: dict[str, Server], bodies: dict[str, bytes], requests: int) -> dict[str, float]:
    """Requests per second of each server by itself."""
    rates = {}
    for name, server in servers.items():
        times: list[float] = []

        async def ask(url: str = server.url, body: bytes = bodies[name], times: list[float] = times) -> None:
            connection = await Connection(url).open()
            for _ in range(requests // CLIENTS):
                times.append((await connection.post("/predict", body))[0])

        start = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(CLIENTS)))
        rates[name] = len(times) / (time.perf_counter() - start)
        print(f"{name:10} {CLIENTS} clients: {_percentiles(times)}  {rates[name]:.0f} requests/s")
    return rates


async def _batch(url: str, pipeline: Pipeline, schema: Any, rows: list[dict[str, Any]]) -> float:
    """Median time of a batch through the service, against the in-process call with JSON in and out."""
    body = json.dumps({"features_list": rows}).encode()
    connection = await Connection(url).open()
    through, inside = [], []
    for _ in range(BATCHES):
        through.append((await connection.post("/predict_batch", body))[0])
        start = time.perf_counter()
        given = pipeline.predict_proba(to_frame(schema, json.loads(body)["features_list"]))
        json.dumps({"predictions": given[:, 1].tolist(), "probabilities": given.tolist()}).encode()
        inside.append(time.perf_counter() - start)
    print(f"batch of {BATCH}: service {_percentiles(through)}; in process {_percentiles(inside)}")
    return float(np.median(through) / np.median(inside))


def _tracing(url: str, requests: int = 20_000) -> float:
    """CPU seconds of a request's tracing, all that is done later in the thread beside it included."""
    tracing = Tracing("classification-service", "of-benchmark", url, shadowed=frozenset())
    model = SimpleNamespace(name="model_0", version="1", stage="production", partition="a_b")
    asked = {"headers": {}, "start": time.perf_counter(), "model": model, "rows": 1}
    start = time.process_time()
    for _ in range(requests):
        tracing.note(asked, "/predict", 200)
    tracing.close()
    lost = sum(sink.dropped for sink in tracing.sinks.values())
    seconds = (time.process_time() - start) / requests
    print(f"tracing: {1e6 * seconds:.1f} us CPU for a request, {lost} spans lost")
    return seconds


def _spans(url: str, release: str) -> int:
    """How many spans of a release were written."""
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
        counted = connection.execute(
            "SELECT count(*) FROM e2i.ml_observability_spans WHERE attributes ->> 'release' = %s", [release]
        ).fetchone()
    return counted[0] if counted else 0


def _fitted() -> Pipeline:
    """20 features become some 50 columns; a booster of 300 trees."""
    rng, problem = np.random.default_rng(0), Binary()
    train, validation = (
        split(name, rows, problem, rng) for name, rows in (("train", 2000), ("validation", 500))
    )
    preprocessor = fit_preprocessor(train.X, FEATURES)
    data = transform(preprocessor, train, validation)
    model = XGBClassifier(n_estimators=300, max_depth=5, random_state=7, n_jobs=1)
    return Pipeline([("preprocessor", preprocessor), ("model", model.fit(data.X_train, data.y_train))])


def _start(home: Path, release: str, name: str, stack: ExitStack, **variables: str) -> tuple[Server, float]:
    """A server of the store in a folder, and how long it took to be ready."""
    start = time.perf_counter()
    server = stack.enter_context(_with_process(served(release, home, home / f"{name}.log", **variables)))
    return server, time.perf_counter() - start


def _cold(home: Path, members: list[ReleaseMember]) -> float:
    """Seconds until a service with all models answers; prints what a model weighs."""
    memory = {}
    for number in (1, MODELS):
        with bento_store(home), ExitStack() as stack:
            release = build_release("classification-service", f"of-{number}", members[:number])
            server, seconds = _start(home, release, f"of-{number}", stack)
            memory[number] = server.memory()
    each = (memory[MODELS] - memory[1]) / (MODELS - 1)
    print(
        f"{MODELS} models: ready after {seconds:.1f} s, {memory[MODELS]:.0f} MB, {each:.1f} MB for each more"
    )
    return seconds


def main(requests: int = 2000) -> None:
    """Run the comparison and print it; ends with 1 where a bar is not met."""
    pipeline, schema_levels = _fitted(), {f.name: LEVELS for f in FEATURES if f.kind == "categorical"}
    X = frame(BATCH, np.random.default_rng(1))
    rows = X.astype(object).where(X.notna(), None).to_dict("records")
    for f in FEATURES:
        if f.kind == "boolean":
            for row in rows:
                row[f.name] = None if row[f.name] is None else bool(row[f.name])
    whole = next(row for row in rows if None not in row.values())  # a bare service has no way with nulls
    numbers = {name: float(value) if isinstance(value, bool) else value for name, value in whole.items()}
    bodies = {name: json.dumps({"features": numbers}).encode() for name in ("bentoml", "starlette")}
    bodies["ours"] = json.dumps({"features": whole}).encode()
    with ExitStack() as stack:
        folder = stack.enter_context(postgres_home())
        server = url_for(Settings(home=folder / "server"), "public", "")
        here = stack.enter_context(installation(server, folder / "installation"))
        Warehouse(here).open()
        assert here.database_url is not None
        bare = folder / "bare"
        bare.mkdir()
        joblib.dump(pipeline, bare / "pipeline.joblib")
        (bare / "bare.py").write_text(BARE_BENTO)
        (bare / "star.py").write_text(BARE_STARLETTE)
        with bento_store(folder / "bentoml") as home:
            members = _members(pipeline, schema_levels, MODELS)
            release = build_release("classification-service", "one", members[:1])
        database = here.database_url.get_secret_value()
        log = {"E2I_PREDICTION_LOG_URL": database}
        with ExitStack() as asked:
            service = _start(home, release, "ours", asked, **log)[0]
            router = asked.enter_context(_with_process(_router(folder, service)))
            servers = {
                "ours": Server(router.url, (*service.processes, *router.processes)),
                "bentoml": _start(bare, "bare:Bare", "bentoml", asked)[0],
                "starlette": asked.enter_context(_with_process(_starlette(bare))),
            }
            cpu, p50 = asyncio.run(_in_turn(servers, bodies, requests))
            rates = asyncio.run(_by_many(servers, bodies, requests))
            schema = feature_schema(FEATURES, schema_levels, {})
            batch = asyncio.run(_batch(servers["ours"].url, pipeline, schema, rows))
            print("without the router, for comparison:")
            direct = {"service": service}
            alone, _ = asyncio.run(_in_turn(direct, {"service": bodies["ours"]}, requests))
            asyncio.run(_by_many(direct, {"service": bodies["ours"]}, requests))
        if not (spans := _spans(database, str(release))):
            raise RuntimeError("no span was written: tracing was not on while this was measured")
        print(f"metrics, prediction log and tracing were on: {spans} spans written")
        results = [cpu["ours"] / cpu["bentoml"], p50["ours"] / p50["bentoml"], rates["bentoml"] / rates["ours"],
                   cpu["ours"] / cpu["starlette"], batch, _tracing(database) / alone["service"], _cold(home, members)]  # fmt: skip
    missed = False
    for (name, bar), figure in zip(BARS.items(), results, strict=True):
        missed |= figure > bar
        print(f"{name}: {figure:.2f} (bar {bar:.2f}){'  MISSED' if figure > bar else ''}")
    raise SystemExit(missed)


def _router(folder: Path, service: Server) -> Any:
    """Caddy, configured as the platform does; the other process of the service is not there."""
    port, name = free_port(), "classification-service"
    upstreams = {name: (urlsplit(service.url).port or 0, free_port())}
    (folder / "caddy.json").write_text(json.dumps(configuration(LOOPBACK, {name: port}, upstreams)))
    command = [program(), "run", "--config", str(folder / "caddy.json")]
    return running(command, os.environ | environment(folder), folder, folder / "caddy.log", port)


def _starlette(folder: Path) -> Any:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "star:app", "--port", str(port), "--no-access-log"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return running(command, environment, folder, folder / "star.log", port)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
