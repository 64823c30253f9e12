"""A partition whose artifacts, sealed splits, MLflow files and bundles are on an S3 server, and two machines."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import dagster as dg
import httpx
import pytest
import sqlalchemy as sa
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from e2i_assets.assets.bento_bundle import packed_pipeline
from e2i_assets.build import build_resources
from e2i_assets.cli.doctor_checks import artifacts as examined
from e2i_assets.deployment import process
from e2i_assets.deployment.wishes import member
from e2i_assets.lineage.prune import Pruner
from e2i_assets.lineage.reproduce import Reproducer
from e2i_assets.lineage.retention import Keep
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore, Published
from e2i_assets.resources.vault import SplitSealed, SplitVault
from e2i_assets.serving import bento_store
from e2i_assets.settings import Settings, settings
from e2i_assets.storage.bundles import ArchiveDamaged, fetch
from e2i_assets.storage.filesystems import StoreUnavailable
from e2i_assets.warehouse.postgres import export
from e2i_assets.warehouse.queries.registry import models
from e2i_assets_tests.conftest import installation
from e2i_assets_tests.integration.gates.partition import PARTITION, checks, run
from e2i_assets_tests.integration.gates.test_recovery import MADE_ANEW, openings
from e2i_assets_tests.unit.test_store import Fitted

BUCKET, ROOT = "brand-team", "brand-team/e2i"
LOGIN = {
    "AWS_ACCESS_KEY_ID": "AKIANOBODYMAYSEEIT00",
    "AWS_SECRET_ACCESS_KEY": "secretthatnobodymaysee",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",
}
MODEL = "conversion/trained_model"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of an S3 server with a bucket, for which this process has a login."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**LOGIN, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def machines(server: str, base: Settings, s3: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two machines that ran the partition at the same time: each its own home, one database, one bucket."""
    folder = tmp_path_factory.mktemp("machines")
    with installation(server, folder / "none", template=base) as copy:
        here = copy.model_copy(
            update={
                "home": folder / "first",
                "artifacts": f"s3://{ROOT}",
                "vault_key": SecretStr(b64encode(secrets.token_bytes(32)).decode()),
            }
        )
        with build_resources(copy)["warehouse"].engine.begin() as connection:
            connection.execute(sa.text(f"TRUNCATE {', '.join(f'e2i.ml_{name}' for name in MADE_ANEW)}"))
            # An experiment's files stay where they were when it was made.
            connection.execute(sa.text("DROP SCHEMA mlflow CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA mlflow"))
        export(here)
        other = here.model_copy(update={"home": folder / "second"})
        started = _started(other)
        result = run(here, "*")
        said, errors = started.communicate(timeout=600)
        assert result.success
        assert len(checks(result)) == 14
        yield SimpleNamespace(
            here=here, other=other, said=said, errors=errors, store=open_store(here), of=build_resources(here)
        )


def _started(machine: Settings) -> subprocess.Popen[str]:
    assert machine.database_url is not None
    assert machine.vault_key is not None
    environment = {
        "E2I_HOME": str(machine.home),
        "E2I_ARTIFACTS": str(machine.artifacts),
        "E2I_DATABASE_URL": machine.database_url.get_secret_value(),
        "E2I_VAULT_KEY": machine.vault_key.get_secret_value(),
        "E2I_AS_OF": str(machine.as_of),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "e2i_assets_tests.integration.gates.second_machine"],
        env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def bucket(s3: str) -> Any:
    return boto3.resource("s3").Bucket(BUCKET)


def names(bucket: Any, below: str = "") -> list[str]:
    return sorted(one.key for one in bucket.objects.filter(Prefix=f"e2i{below}"))


def current(machines: Any, asset: str) -> Published:
    published = machines.store.current(asset, PARTITION)
    assert published is not None
    return published


def registered(machines: Any) -> Version:
    return [v for model in models(machines.of["warehouse"]) for v in model.versions][-1]


def test_two_machines_at_once_publish_the_same_once(machines: Any, bucket: Any) -> None:
    said = json.loads(machines.said)
    assert said["success"]
    assert len(said["checks"]) == 14
    assert set(said["made"].values()) == {True}  # what the first made is what the second has
    assert openings(machines.here) == (1, 1)
    lists = [name for name in names(bucket, "/") if name.endswith("/files.json")]
    assert len({name.rsplit("/", 2)[0] for name in lists}) == len(lists)  # one version of each asset


def test_all_of_it_is_in_the_bucket_and_nothing_in_the_homes(machines: Any, bucket: Any) -> None:
    everything = names(bucket)
    for below in (f"/{MODEL}/{PARTITION}/", ".vault/", "/mlflow/", "/bentos/"):
        assert [name for name in everything if name.startswith(f"e2i{below}")], below
    for machine in (machines.here, machines.other):
        assert not (machine.home_dir / "artifacts").exists()
        assert not (machine.home_dir / "vault").exists()
        assert not (machine.home_dir / "vault.key").exists()


def test_no_login_is_in_an_object_a_record_or_a_log(machines: Any, bucket: Any) -> None:
    for one in bucket.objects.all():
        content = one.get()["Body"].read()
        assert not [value for value in list(LOGIN.values())[:2] if value.encode() in content], one.key
    with machines.of["warehouse"].engine.connect() as connection:
        tables = connection.execute(
            sa.text(
                "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('e2i', 'mlflow')"
            )
        ).scalars()
        for table in tables.all():
            for value in list(LOGIN.values())[:2]:
                found = f"SELECT count(*) FROM {table} t WHERE strpos(t::text, :value) > 0"
                assert connection.execute(sa.text(found), {"value": value}).scalar() == 0, table
    assert not [value for value in list(LOGIN.values())[:2] if value in machines.said + machines.errors]


def test_a_bundle_comes_to_a_machine_that_did_not_build_it(
    machines: Any, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bentoml
    import mlflow

    version = registered(machines)
    third = machines.here.model_copy(update={"home": tmp_path / "third"})
    folder = fetch(third, version.bento_tag, version.files_hash)
    assert folder.is_relative_to(tmp_path)
    splits = machines.store.read("splits", PARTITION, current(machines, "splits").version, Splits)
    model = machines.store.read(MODEL, PARTITION, current(machines, MODEL).version, TrainedModel)
    rows = splits.validation[list(model.features)].head(20)
    told = model.pipeline.predict_proba(rows)
    packed = packed_pipeline(SimpleNamespace(path=folder))  # type: ignore[arg-type]
    assert (packed.predict_proba(rows) == told).all()
    mlflow.set_tracking_uri(machines.of["tracking"].uri)
    logged = mlflow.sklearn.load_model(f"runs:/{version.mlflow_run_id}/model")
    assert (logged.predict_proba(rows) == told).all()
    # A release is built of it there, as the process of a service does; and BentoML itself takes the archive.
    monkeypatch.setenv("E2I_ARTIFACTS", str(third.artifacts))
    monkeypatch.setenv("E2I_HOME", str(tmp_path / "fourth"))
    settings.cache_clear()
    process._ensure(
        tmp_path / "fourth" / "bentoml", version.service, "r1", [member(version, "staging", "active")]
    )
    settings.cache_clear()
    assert (tmp_path / "fourth" / "bentoml" / "bentos" / version.service / "r1" / "bento.yaml").is_file()
    (archive,) = names(bucket, "/bentos/")
    with bento_store(tmp_path / "sixth"):
        assert str(bentoml.import_bento(f"s3://{BUCKET}/{archive}").tag) == version.bento_tag
    content = bucket.Object(archive).get()["Body"].read()
    bucket.Object(archive).put(Body=content[: len(content) // 2])
    try:
        with pytest.raises(ArchiveDamaged, match=version.bento_tag.replace(":", "/")):
            fetch(
                third.model_copy(update={"home": tmp_path / "fifth"}), version.bento_tag, version.files_hash
            )
    finally:
        bucket.Object(archive).put(Body=content)


def test_test_stays_opened_once_for_a_model_on_every_machine(machines: Any) -> None:
    splits = machines.store.read("splits", PARTITION, current(machines, "splits").version, Splits)
    model = machines.store.read(MODEL, PARTITION, current(machines, MODEL).version, TrainedModel)
    vault = SplitVault(machines.other, build_resources(machines.other)["warehouse"])
    for split, reason in (("test", "was already opened"), ("holdout", "deployment is active")):
        opening = vault.open(
            PARTITION,
            split,
            splits.seals[split],
            model_fingerprint=model.fingerprint,
            purpose="again",
            run_id="r",
        )
        with pytest.raises(SplitSealed, match=reason), opening:
            pytest.fail("a sealed split was handed out")
    query = "SELECT split, purpose, outcome, opened_by FROM e2i.ml_split_attempts ORDER BY id"
    with machines.of["warehouse"].engine.connect() as connection:
        attempts = [tuple(row) for row in connection.execute(sa.text(query))]
    assert [one[:1] + one[2:3] for one in attempts] == [
        ("test", "opened"), ("test", "split_sealed"), ("holdout", "split_sealed"),
    ]  # fmt: skip
    assert all(one[3] for one in attempts)


def test_a_model_is_made_again_and_nothing_needed_is_pruned(machines: Any, bucket: Any) -> None:
    resources = build_resources(machines.other)
    done = Reproducer(machines.other, resources["warehouse"], resources["store"]).reproduce(
        registered(machines)
    )
    assert done.equal
    before = names(bucket)
    half = f"e2i/cohort/{PARTITION}/{'a' * 16}/{'b' * 16}/members.parquet"
    bucket.Object(half).put(Body=b"of a machine that was killed")
    removed = machines.here.bento_home / "removed" / PARTITION / f"x.{'c' * 32}.removed"
    (removed / "src").mkdir(parents=True)
    assert machines.store.versions("cohort", PARTITION) == [current(machines, "cohort").version]
    with dg.DagsterInstance.ephemeral() as instance:
        pruner = Pruner(machines.here, machines.of["warehouse"], machines.store, instance)
        pruner.carry_out(pruner.plan(Keep(0)), Keep(0))
    assert names(bucket) == before
    assert not removed.exists()


def test_doctor_looks_at_the_storage(machines: Any, bucket: Any) -> None:
    before = names(bucket)
    assert [finding.level for finding in examined(machines.here)] == ["ok"]
    assert names(bucket) == before


@pytest.mark.parametrize("harm", ["altered", "truncated", "gone"])
def test_an_object_that_is_not_as_written_is_named_and_made_good(s3: str, bucket: Any, harm: str) -> None:
    store = ArtifactStore(f"s3://{BUCKET}/e2i-{harm}")
    version = store.write("a", "p", Fitted("x"))
    (name,) = [name for name in names(bucket, f"-{harm}/") if name.endswith("/a.txt")]
    if harm == "gone":
        bucket.Object(name).delete()
    else:
        bucket.Object(name).put(Body=b"y" if harm == "altered" else b"")
    with pytest.raises(
        ArtifactRefused, match=r"a.txt is missing or not as written.*changed after it was judged"
    ):
        store.read("a", "p", version, Fitted)
    assert store.write("a", "p", Fitted("x")) == version
    assert store.read("a", "p", version, Fitted).text == "x"


def test_two_machines_that_store_one_version_in_other_bytes_leave_one(s3: str, bucket: Any) -> None:
    """As when the database lost the turn of the first: each has objects of its own, one list is put."""
    for attempt in range(5):
        together = threading.Barrier(2)
        versions = []

        def write(padding: str, root: str, together: threading.Barrier, versions: list[str]) -> None:
            artifact = Fitted("x")
            artifact.padding = padding
            store = ArtifactStore(root)
            together.wait()
            versions.append(store.write("a", "p", artifact))

        root = f"s3://{BUCKET}/e2i-race{attempt}"
        threads = [
            threading.Thread(target=write, args=(padding, root, together, versions))
            for padding in ("1", "22")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(versions) == 2
        assert len(set(versions)) == 1
        assert ArtifactStore(root).read("a", "p", versions[0], Fitted).text == "x"
        assert len(names(bucket, f"-race{attempt}/")) == 4  # the loser's are removed again


def test_what_the_storage_refuses_is_said_with_its_object_and_no_login(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(f"s3://{BUCKET}/e2i-refused")
    store.publish(Published("a", "p", store.write("a", "p", Fitted("x")), "f"))
    errors = {}
    with pytest.raises(StoreUnavailable) as error:
        ArtifactStore("s3://no-such-bucket/e2i").write("a", "p", Fitted("x"))
    errors["store_missing"] = error.value
    httpx.post(f"{s3}/moto-api/reset-auth", content="0")
    try:
        with pytest.raises(StoreUnavailable) as error:
            store.current("a", "p")
        errors["store_refused"] = error.value
    finally:
        httpx.post(f"{s3}/moto-api/reset-auth", content="inf")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://joe:secretthatnobodymaysee@127.0.0.1:9")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreUnavailable) as error:
        ArtifactStore(f"s3://{BUCKET}/e2i-refused").current("a", "p")
    errors["store_unavailable"] = error.value
    s3fs.S3FileSystem.clear_instance_cache()
    assert {code: error.code for code, error in errors.items()} == {code: code for code in errors}
    assert "s3://no-such-bucket/e2i/a/p/" in str(errors["store_missing"])
    for code in ("store_refused", "store_unavailable"):
        assert f"s3://{BUCKET}/e2i-refused/a/p/current.json" in str(errors[code])
    for error_ in errors.values():
        assert not [value for value in list(LOGIN.values())[:2] if value in error_.summary]
        assert error_.__cause__ is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    assert ArtifactStore(f"s3://{BUCKET}/e2i-refused").current("a", "p") is not None  # nothing was lost
