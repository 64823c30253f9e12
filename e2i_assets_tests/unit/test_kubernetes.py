"""What `deploy/kubernetes` says is what Kubernetes and Dagster's run launcher take, and what the platform reads."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes.client
import kubernetes_validate
import pytest
import yaml
from dagster._config import process_config
from dagster._config.field import resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config_schema
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job
from dagster_k8s.launcher import K8sRunLauncher
from pydantic import SecretStr

from e2i_assets.settings import Settings
from e2i_assets.warehouse.postgres import export
from e2i_assets_tests.conftest import CONFIG, ROOT

DEPLOY = ROOT / "deploy" / "kubernetes"
VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "dagster-values.yaml").read_text())
OBJECTS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "platform.yaml").read_text())["items"]
LAUNCHER: dict[str, Any] = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
RELEASES = ("1.30", "1.37")
"""Oldest and newest release of Kubernetes whose schema is asked."""
SIZES = {"Mi": 2**20, "Gi": 2**30}


def called(one: dict[str, Any]) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def environment() -> dict[str, str]:
    (shared,) = [one for one in OBJECTS if called(one) == "ConfigMap e2i-platform"]
    return shared["data"]


def pods() -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in OBJECTS if "template" in one.get("spec", {})]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("one", OBJECTS, ids=called)
def test_kubernetes_takes_the_manifests(one: dict[str, Any], release: str) -> None:
    kubernetes_validate.validate(one, release, strict=True)


def test_a_manifest_that_is_wrong_is_not_taken() -> None:
    (service, *_) = [one for one in OBJECTS if one["kind"] == "Service"]
    wrong = service | {"spec": service["spec"] | {"port": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, RELEASES[-1], strict=True)


def in_snake_case(values: dict[str, Any]) -> dict[str, Any]:
    return {re.sub("([A-Z])", r"_\1", name).lower(): value for name, value in values.items()}


def launcher_config() -> dict[str, Any]:
    """What the chart makes of the values of the launcher."""
    given = in_snake_case(LAUNCHER)
    return given | {
        "job_namespace": "e2i", "service_account_name": "dagster", "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": "dagster-instance", "run_k8s_config": in_snake_case(given["run_k8s_config"]),
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
        **{kind: [one["name"] for one in given[kind]] for kind in ("env_config_maps", "env_secrets")},
    }  # fmt: skip


def test_the_launcher_makes_a_job_of_a_run_that_kubernetes_takes(tmp_path: Path) -> None:
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}
    known = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [cluster], "contexts": [known],
        "users": [{"name": "u", "user": {}}],
    }))  # fmt: skip
    config = launcher_config()
    taken = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), config)
    assert taken.success, taken.errors
    outside = config | {"load_incluster_config": False, "kubeconfig_file": str(file)}
    launcher = K8sRunLauncher.from_config_value(None, outside)
    run = dg.DagsterRun("refresh", tags={"dagster/partition": "fabhalta_c3g"})
    context = K8sContainerContext.create_for_run(run, launcher, include_run_tags=True)
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config("e2i:0.1.0", launcher), ["dagster"], "dagster-run-1",
        user_defined_k8s_config=context.run_k8s_config,
    )  # fmt: skip
    made = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    kubernetes_validate.validate(made, RELEASES[-1], strict=True)
    pod = made["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"] == LAUNCHER["resources"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000}
    assert pod["enableServiceLinks"] is False
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {
        "/var/lib/e2i",
        "/etc/e2i/database",
    }
    assert {"configMapRef": {"name": "e2i-platform"}} in container["envFrom"]
    (password,) = [one for one in container["env"] if one["name"] == "DAGSTER_PG_PASSWORD"]
    assert password["valueFrom"]["secretKeyRef"] == {"name": "e2i-database", "key": "postgresql-password"}


def test_dagster_takes_what_the_instance_is_told() -> None:
    queue = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    (limit,) = queue["tagConcurrencyLimits"]
    instance = VALUES["additionalInstanceConfig"] | {
        "run_queue": {
            "max_concurrent_runs": queue["maxConcurrentRuns"],
            "tag_concurrency_limits": [limit],
        },
    }
    schema = dagster_instance_config_schema()
    taken = process_config({name: schema[name] for name in instance}, instance)
    assert taken.success, taken.errors
    local = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())
    assert instance["run_retries"] == local["run_retries"]
    assert VALUES["dagsterDaemon"]["runRetries"] == {"enabled": False}, "the chart would write it twice"


def test_pods_have_the_environment_of_an_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = environment()
    for name in shared:
        monkeypatch.setenv(name, "")  # is put back afterwards
        monkeypatch.delenv(name)
    here = Settings(home=tmp_path / "home", config=CONFIG, database_url=SecretStr(shared["E2I_DATABASE_URL"]))
    with monkeypatch.context() as patch:
        for name in ("DAGSTER_HOME", "E2I_DAGSTER_URL", "E2I_CONCURRENT_RUNS", "E2I_CONFIG", "TMPDIR"):
            patch.setenv(name, "")
        before = dict(os.environ)
        export(here)
        exported = {name: value for name, value in os.environ.items() if before.get(name) != value}
    in_a_pod = {"E2I_CONFIG", "DAGSTER_HOME", "E2I_DAGSTER_URL", "E2I_CONCURRENT_RUNS"}
    there = {name: value.replace(str(here.home_dir), "/var/lib/e2i") for name, value in exported.items()}
    assert {name: shared.get(name) for name in there.keys() - in_a_pod} == {
        name: value for name, value in there.items() if name not in in_a_pod
    }
    options = VALUES["postgresql"]["postgresqlParams"]["options"]
    assert options in exported["E2I_DAGSTER_URL"].replace("%3D", "=").replace("+", " ")


def test_secrets_are_named_and_not_written() -> None:
    text = "".join(file.read_text() for file in DEPLOY.iterdir())
    assert not re.search(r"kind: Secret\b", text)
    assert not re.search(r"://[^/\s]*:[^/\s@]+@", text)
    named = set(re.findall(r"secretKeyRef|secretRef|postgresqlSecretName", text))
    assert named == {"secretKeyRef", "secretRef", "postgresqlSecretName"}


def test_every_pod_has_what_it_mounts_and_asks_for_what_was_measured() -> None:
    names = {called(one) for one in OBJECTS}
    for pod in pods():
        assert pod["enableServiceLinks"] is False, "variables such as E2I_MLFLOW_PORT mean something here"
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
            assert {"cpu", "memory"} == set(container["resources"]["requests"])
            assert container["image"] == "e2i:0.1.0"
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert f"PersistentVolumeClaim {volume['persistentVolumeClaim']['claimName']}" in names
    assert (
        size(LAUNCHER["resources"]["requests"]["memory"])
        > float(measured(r"full set [^|]*\| [^|]*; ([\d.]+) GiB \| [^|]*")) * 2**30
    )


def measured(row: str) -> str:
    """A figure of the benchmarks."""
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    (figure,) = re.findall(rf"^\| {row} \|$", text, re.MULTILINE)
    return figure


def test_the_plan_is_computed_from_what_was_measured() -> None:
    page = (ROOT / "docs" / "how-to" / "kubernetes.md").read_text()
    partition_s = float(measured(r"full set [^|]*\| ([\d,]+) s; [^|]*\| [^|]*").replace(",", "")) / 4
    loaded_s = float(measured(r"`e2i data generate --patients 1000000` [^|]*\| ([\d,]+) s; [^|]*\| [^|]*"))
    tick_s = float(measured(r"a tick of the sensor for new data [^|]*\| [\d.]+; ([\d.]+); [^|]*\| [^|]*"))
    events_per_patient = 73_829 / 25_000
    times = 1_000_000 / (73_829 / 4)
    hours = partition_s * 1_000 / 3600
    for cell in (
        f"| {partition_s:.0f} s |",
        f"| {hours:.0f} pod-hours; 50 at a time {hours / 50:.1f} h |",
        f"| 1,000,000, {times:.0f} times as many |",
        f"| {hours * times:,.0f} pod-hours; 50 at a time {hours * times / 50:.0f} h, "
        f"200 at a time {hours * times / 200:.0f} h |",
        f"| {1e9 / (events_per_patient * 1e6 / loaded_s) / 3600:.0f} h |",
        f"journeys, in PostgreSQL | {215e9 / 2**30:.0f} GiB, {554e9 / events_per_patient / 2**30:.0f} GiB |",
        f"| {tick_s * 10:.1f} s in a minute |",
        f"| {50 * 1} and {50 * 2} GiB; {200 * 1} and {200 * 2} GiB |",
    ):
        assert cell in page, cell
    assert LAUNCHER["resources"]["requests"] == {"cpu": "1", "memory": "2Gi"}
    fixed = [VALUES[part]["resources"] for part in ("dagsterWebserver", "dagsterDaemon")]
    fixed += [one["resources"] for one in VALUES["dagster-user-deployments"]["deployments"]]
    lasting = [pod for pod in pods() if "restartPolicy" not in pod]
    fixed += [container["resources"] for pod in lasting for container in pod["containers"]]
    cores = sum(core(one["requests"]["cpu"]) for one in fixed)
    memory = sum(size(one["requests"]["memory"]) for one in fixed) / 2**30
    assert f"fixed pods' {cores:g} cores and {memory:g} GiB" in page


def core(text: str) -> float:
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


def size(text: str) -> int:
    return int(text[:-2]) * SIZES[text[-2:]]
