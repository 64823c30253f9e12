"""What `e2i doctor` looks at. Nothing is made or changed, but that the embedded PostgreSQL is started."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from e2i_assets.errors import E2IError
from e2i_assets.settings import Settings, settings
from e2i_assets.warehouse.migrations import revisions

MB = 2**20
LEAST_FREE, LITTLE_FREE = 500 * MB, 5_000 * MB
"""Room below which nothing goes on, and below which a full data set may not."""
SHOWN = 5
RUNS = 20
RESTS_AFTER = timedelta(minutes=5)
Level = Literal["ok", "warning", "wrong"]


class Finding(NamedTuple):
    """What a check found; what to do, where it is not fine."""

    check: str
    level: Level
    text: str
    next_step: str = ""


def examine() -> Iterator[Finding]:
    """All checks, in an order in which what is mended first may mend the rest."""
    try:
        here = settings()
        _ = here.config_dir
    except E2IError as error:
        yield Finding("settings", "wrong", str(error), error.next_step)
        return
    yield Finding("settings", "ok", f"E2I_HOME {here.home_dir}, configuration {here.config_dir}")
    for name, check in CHECKS.items():
        yield from guarded(name, lambda check=check: check(here))  # type: ignore[misc]


def guarded(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; that it cannot be made is wrong as well."""
    try:
        yield from check()
    except E2IError as error:
        yield Finding(name, "wrong", str(error), error.next_step)
    except Exception as error:  # noqa: BLE001 -- the other checks are made all the same
        why = f"{type(error).__name__}" + (f": {error}" if isinstance(error, OSError) else "")
        yield Finding(name, "wrong", f"could not be checked: {why}", "Mend what it names, and ask again.")


def configuration(here: Settings) -> Iterator[Finding]:
    """Whether every file of the configuration can be used."""
    from e2i_assets.kpis.file import FOLDER, load_kpis
    from e2i_assets.modeling.scopes.files import wrong_scopes
    from e2i_assets.modeling.tuning.config import OptunaConfig
    from e2i_assets.monitoring.alerts.config import AlertRules
    from e2i_assets.monitoring.retraining import RetrainingRules
    from e2i_assets.partitions import cohort_files, wrong_files
    from e2i_assets.quality.config import QualityConfig
    from e2i_assets.registry.rules import PromotionRules

    config, wrong = here.config_dir, 0
    for reason in {**wrong_scopes(config / "scopes"), **wrong_files(config)}.values():
        wrong += 1
        yield Finding("configuration", "wrong", reason, "Correct the file; what it is about is left out.")
    readers: dict[str, Callable[[Path], Any]] = {
        "quality.yaml": QualityConfig.from_yaml,
        "optuna_config.yaml": OptunaConfig.from_yaml,
        "mlflow/mlflow.yaml": PromotionRules.from_yaml,
        "alerts.yaml": AlertRules.from_yaml,
        "retraining.yaml": RetrainingRules.from_yaml,
        FOLDER: lambda folder: load_kpis(folder.parent),
    }
    for name, read in readers.items():
        try:
            read(config / name)
        except E2IError as error:
            wrong += 1
            yield Finding("configuration", "wrong", str(error), error.next_step)
    if not wrong:
        count = len(cohort_files(config))
        yield Finding("configuration", "ok", f"{count} partitions, every file can be used")
        yield from rules_of_nothing(config)


def rules_of_nothing(config: Path) -> Iterator[Finding]:
    """Rules of alerts that name a scope or partition that there is no file of, by which nobody is told."""
    from e2i_assets.monitoring.alerts.config import FILE, AlertRules

    for place, rule in enumerate(AlertRules.from_yaml(config / FILE).rules):
        for folder, named in {"scopes": rule.scopes, "cohorts": rule.partitions}.items():
            if missing := [name for name in named if not (config / folder / f"{name}.yaml").is_file()]:
                text = f"{FILE}: rules[{place}]: no file in {folder}/ is of {', '.join(missing)}"
                step = "Correct or remove the name: that rule tells nobody of it."
                yield Finding("configuration", "warning", text, step)


def versions(here: Settings) -> Iterator[Finding]:
    """Whether the libraries are those that were tried together."""
    lock = here.config_dir.with_name("requirements.lock")
    tried = lock.is_file()
    lines = lock.read_text(encoding="utf-8").splitlines() if tried else requires("e2i-assets") or []
    others = list(unlike(lines))
    what = f"of {lock.name}" if tried else "that this package asks for"
    if others:
        level: Level = "warning" if tried else "wrong"
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        command = f"uv pip install --no-deps -r {lock}" if tried else "pip install --upgrade e2i-assets"
        yield Finding("versions", level, f"not {what}: {', '.join(others[:SHOWN])}{more}", command)
    else:
        yield Finding("versions", "ok", f"Python {sys.version.split()[0]}, {len(lines)} libraries {what}")


def unlike(requirements: list[str]) -> Iterator[str]:
    """Which requirements are not met, with what is there instead."""
    from packaging.requirements import Requirement

    for line in requirements:
        if not line.strip() or line.lstrip().startswith(("#", "-")):
            continue
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            yield f"{wanted.name} is missing"
            continue
        if not wanted.specifier.contains(installed, prereleases=True):
            yield f"{wanted.name} {installed}, not {wanted.specifier}"


def home(here: Settings) -> Iterator[Finding]:
    """Whether the home can be written, and nobody else looks into it."""
    folder = here.home_dir
    if not folder.is_dir():
        yield Finding("home", "warning", f"{folder} is not there yet", "`e2i demo` or `e2i up` makes it.")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        text = f"{folder} cannot be written by this user"
        yield Finding("home", "wrong", text, "Give write permission, or set E2I_HOME to another folder.")
    elif (mode := stat.S_IMODE(folder.stat().st_mode)) & 0o067:
        yield Finding("home", "warning", f"{folder} is open to others ({mode:o})", f"chmod 700 {folder}")
    else:
        yield Finding("home", "ok", f"{folder} can be written, and is closed to others")


def disk(here: Settings) -> Iterator[Finding]:
    """Whether there is room where this installation writes."""
    places = {here.home_dir, Path(tempfile.gettempdir())}
    if "://" not in here.artifacts_url:
        places.add(Path(here.artifacts_url))
    of_device: dict[int, Path] = {}
    for place in sorted(places):
        known = next(folder for folder in (place, *place.parents) if folder.exists())
        of_device.setdefault(known.stat().st_dev, known)
    for place in of_device.values():
        free = shutil.disk_usage(place).free
        level: Level = "wrong" if free < LEAST_FREE else "warning" if free < LITTLE_FREE else "ok"
        step = "Make room (`e2i prune` shows what may go), or set E2I_HOME or E2I_ARTIFACTS to another place."
        yield Finding("disk", level, f"{free // MB:,} MB free at {place}", step)


def artifacts(here: Settings) -> Iterator[Finding]:
    """Whether object storage, where artifacts are on it, takes and gives what is needed of it."""
    if here.shares_artifacts:
        from e2i_assets.resources.vault import SealedFiles
        from e2i_assets.storage.filesystems import rehearse

        rehearse(here.artifacts_url)
        SealedFiles(here).rehearse()
        yield Finding("artifacts", "ok", f"{here.artifacts_url} takes, lists and gives objects")


def vault_key(here: Settings) -> Iterator[Finding]:
    """Whether the key is there and nobody else's."""
    from e2i_assets.resources.sealing import VaultKey
    from e2i_assets.resources.vault import SealedFiles

    if not here.vault_key and not here.vault_key_file.exists():
        if SealedFiles(here).any():
            text = f"the vault has sealed splits, and {here.vault_key_file} is missing"
            yield Finding("vault key", "wrong", text, "Restore the file, or set E2I_VAULT_KEY to the key.")
        else:
            yield Finding("vault key", "ok", "not needed yet: the first splits make it")
        return
    VaultKey(here.vault_key_file, here.vault_key).seal(b"", "doctor")
    where = "E2I_VAULT_KEY" if here.vault_key else f"{here.vault_key_file}, closed to others"
    yield Finding("vault key", "ok", f"{where}; keep a copy apart from the vault")


def database(here: Settings) -> Iterator[Finding]:
    """Whether the database answers, and has the schema of this code."""
    if here.database_url is None and not (here.home_dir / "postgres").exists():
        text = "the embedded PostgreSQL is not made yet"
        yield Finding("database", "ok", f"{text}: the first command does it")
        return
    from e2i_assets.warehouse.warehouse import Warehouse

    (release, recorded), known = Warehouse(here).condition(), revisions()
    where = "the embedded one" if here.database_url is None else "that of E2I_DATABASE_URL"
    if recorded == known[-1]:
        yield Finding("database", "ok", f"PostgreSQL {release}, {where}, schema revision {recorded}")
    elif recorded is None or recorded in known:
        text = f"schema revision {recorded or 'none'}, this code has {known[-1]}"
        yield Finding(
            "database", "warning", text, "The next command of its owner brings it there: e2i db migrate"
        )
    else:
        text = f"schema revision {recorded}, and this code knows none after {known[-1]}"
        yield Finding("database", "wrong", text, "Use the newer release that opened it, or another database.")


def mlflow(here: Settings) -> Iterator[Finding]:
    """Whether a team's server answers."""
    import httpx

    uri = here.mlflow_tracking_uri
    if not uri:
        yield Finding("MLflow", "ok", "in schema mlflow of the database")
    elif not uri.startswith("http"):
        yield Finding("MLflow", "ok", "at the address of E2I_MLFLOW_TRACKING_URI, which is no web server")
    else:
        try:
            answer = str(httpx.get(f"{uri.rstrip('/')}/health", timeout=5).status_code)
        except httpx.HTTPError as error:
            answer = type(error).__name__
        good = answer == "200"
        text = f"the server of E2I_MLFLOW_TRACKING_URI answers {answer}"
        yield Finding(
            "MLflow", "ok" if good else "wrong", text, "Start it, or correct or unset the variable."
        )


def bundles(here: Settings) -> Iterator[Finding]:
    """Whether bundles can be built, and are where they were put."""
    from importlib.util import find_spec

    if find_spec("uv") is None and shutil.which("uv") is None:
        yield Finding("bundles", "wrong", "BentoML builds with uv, which is not installed", "pip install uv")
    store = here.bento_home / "bentos"
    broken = [one for one in store.glob("*/*/") if one.is_dir() and not (one / "bento.yaml").is_file()]
    if broken:
        names = ", ".join(f"{one.parent.name}:{one.name}" for one in broken[:SHOWN])
        step = "Remove their folders, and materialize bento_bundle with --force."
        yield Finding("bundles", "wrong", f"half written: {names}", step)
    else:
        yield Finding("bundles", "ok", f"{len(list(store.glob('*/*/bento.yaml')))} in {store}")


def ports(here: Settings) -> Iterator[Finding]:
    """Whether each port is free, or listened on by this installation."""
    from e2i_assets.cli.ports import PortUnavailable, listen

    wanted = {
        "Dagit": ("E2I_DAGIT_PORT", int(os.environ.get("E2I_DAGIT_PORT", "3000"))),
        "MLflow": ("E2I_MLFLOW_PORT", urlsplit(here.mlflow_url).port or 5000),
        "the operations API": ("E2I_API_PORT", here.api_port),
    }
    for name, port in here.service_ports.items():
        wanted[name] = (f"E2I_{name.partition('-')[0].upper()}_PORT", port)
    free, ours = [], []
    for name, (variable, port) in wanted.items():
        try:
            listen("127.0.0.1", port).close()
            free.append(str(port))
        except PortUnavailable:
            owner = listener(port)
            if owner and owner.get("DAGSTER_HOME") == str(here.dagster_home):
                ours.append(f"{name} {port}")
            else:
                text = f"{port}, for {name}, is taken by something else"
                yield Finding("ports", "warning", text, f"Stop what listens there, or set {variable}.")
    yield Finding("ports", "ok", f"free: {', '.join(free) or 'none'}; ours: {', '.join(ours) or 'none'}")


def listener(port: int) -> dict[str, str] | None:
    """The environment of the process that listens on a port, where it can be seen."""
    import psutil

    for process in psutil.process_iter():
        try:
            for one in process.net_connections(kind="tcp"):
                if one.status == psutil.CONN_LISTEN and one.laddr.port == port:
                    return dict(process.environ())
        except (psutil.Error, OSError):
            continue
    return None


def left_behind(here: Settings) -> Iterator[Finding]:
    """What processes that were killed have left."""
    from e2i_assets.cli.serve import reconciler_of
    from e2i_assets.deployment import processes, router
    from e2i_assets.warehouse.embedded import dead_postmaster

    wrong = False
    if reconciler_of(here.home_dir) is None and processes.marked(router.mark(here.serving_dir)):
        wrong = True
        text = "services run, and nobody looks after them"
        yield Finding("processes", "warning", text, "`e2i serve` takes them over, `e2i down` ends them.")
    if dead_postmaster(here.home_dir / "postgres"):
        wrong = True
        text = "the embedded PostgreSQL was killed; its lock file is still there"
        yield Finding("processes", "warning", text, "The next command removes it and starts it anew.")
    if not wrong:
        yield Finding("processes", "ok", "nothing is left of processes that were killed")


def runs(here: Settings) -> Iterator[Finding]:
    """How the last runs ended, and whether sensors and schedules are looked after."""
    if not (here.dagster_home / "dagster.yaml").is_file():
        yield Finding("runs", "ok", "there were none")
        return
    import dagster as dg

    from e2i_assets.cli.instance import dagster_instance
    from e2i_assets.warehouse.postgres import export

    export(here)
    with dagster_instance() as instance:
        last = instance.get_run_records(limit=RUNS)
        failed = dg.DagsterRunStatus.FAILURE
        yield from of_runs([(one.dagster_run, one.dagster_run.status is failed) for one in last])
        beats = instance.get_daemon_heartbeats().values()
        newest = max((beat.timestamp for beat in beats), default=None)
    yield of_daemon(newest, datetime.now(UTC))


def of_runs(last: list[tuple[Any, bool]]) -> Iterator[Finding]:
    """Of runs, the newest first, each with whether it failed."""
    answered, failed = set[str | None](), []
    for run, wrong in last:
        partition = run.tags.get("dagster/partition")
        if wrong and partition not in answered:
            failed.append(f"{run.run_id[:8]} of {partition or run.job_name}")
        answered.add(partition)
    if failed:
        look = f"Look into it in Dagit, or with `e2i traces {failed[0][:8]}`"
        step = f"{look}; mend it, then `e2i materialize -p PARTITION`."
        yield Finding("runs", "warning", f"the last run failed: {', '.join(failed[:SHOWN])}", step)
    else:
        yield Finding(
            "runs", "ok", f"none of the last {len(last)} is left failed" if last else "there were none"
        )


def of_daemon(newest: float | None, now: datetime) -> Finding:
    """Whether Dagster's daemon is alive, by its newest heartbeat (seconds since the epoch)."""
    if newest is not None and now - datetime.fromtimestamp(newest, UTC) < RESTS_AFTER:
        return Finding("daemon", "ok", "sensors, schedules and the queue of runs are looked after")
    since = "never" if newest is None else f"last {datetime.fromtimestamp(newest, UTC):%Y-%m-%d %H:%M} UTC"
    text = f"sensors, schedules and queued runs rest: the daemon does not run ({since})"
    return Finding("daemon", "warning", text, "`e2i up` starts it.")


CHECKS: dict[str, Callable[[Settings], Iterator[Finding]]] = {
    "configuration": configuration,
    "versions": versions,
    "home": home,
    "disk": disk,
    "artifacts": artifacts,
    "vault key": vault_key,
    "database": database,
    "MLflow": mlflow,
    "bundles": bundles,
    "ports": ports,
    "processes": left_behind,
    "runs": runs,
}
