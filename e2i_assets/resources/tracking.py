"""Experiment tracking: exactly one MLflow run for a Dagster run and scope, found again by its tags."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from e2i_assets.addresses import without_secrets
from e2i_assets.settings import Settings
from e2i_assets.warehouse.postgres import url_for

if TYPE_CHECKING:
    from mlflow.entities import RunInfo


class ExperimentTracking:
    """The team's MLflow server, or the `mlflow` schema of the warehouse.

    `dagster_mlflow` does the logging. Left to find its own run it makes a second one when two steps start
    together, so the run is chosen here and handed to it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def uri(self) -> str:
        """Tracking URI."""
        return self._settings.mlflow_tracking_uri or url_for(self._settings, "mlflow")

    def migrate(self) -> None:
        """Make MLflow's tables in the warehouse, or bring them to its release."""
        from mlflow.db import commands

        # In this process, for every user of a machine sees the arguments of another.
        commands.main(["upgrade", self.uri], standalone_mode=False)

    def page(self, run: RunInfo) -> str:
        """Where MLflow shows a run: on the team's server, else where `e2i mlflow` serves it."""
        team = self._settings.mlflow_tracking_uri or ""
        base = without_secrets(team) if team.startswith("http") else self._settings.mlflow_url
        return f"{base.rstrip('/')}/#/experiments/{run.experiment_id}/runs/{run.run_id}"

    @contextmanager
    def run(self, context: Any, *, experiment: str, name: str, tags: Mapping[str, str]) -> Iterator[Any]:
        """The MLflow run of this Dagster run with these tags, created when there is none.

        Args:
            context: Dagster's execution context.
            tags: what identifies the run, beside the Dagster run id.

        Yields:
            `dagster_mlflow.MlFlow`, which has all of MLflow's functions, with the run active.
        """
        from dagster_mlflow.resources import MlFlow
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        experiment_id = self._experiment(client, experiment)
        identity = {"dagster_run_id": context.run_id, **tags}
        tracker: Any = MlFlow(
            SimpleNamespace(
                log=context.log,
                run_id=context.run_id,
                dagster_run=SimpleNamespace(job_name=name),
                resource_config={
                    "mlflow_tracking_uri": self.uri,
                    "experiment_name": experiment,
                    "mlflow_run_id": _find_or_create(client, experiment_id, name, identity),
                },
            )
        )
        try:
            yield tracker
        except BaseException:
            tracker.cleanup_on_error()
            raise
        finally:
            tracker.end_run()

    def add(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        files: Mapping[str, Mapping[str, bytes]],
    ) -> str:
        """Add to a run that an earlier step made and ended, which it stays; returns its page.

        Args:
            files: folder to file name to content.
        """
        from mlflow import MlflowClient
        from mlflow.entities import Metric, RunTag

        client, now = MlflowClient(tracking_uri=self.uri), int(time.time() * 1000)
        if metrics or tags:
            client.log_batch(
                run_id,
                [Metric(name, value, now, 0) for name, value in (metrics or {}).items()],
                tags=[RunTag(name, value) for name, value in (tags or {}).items()],
            )
        for folder, contents in files.items():
            with _as_files(contents) as scratch:
                client.log_artifacts(run_id, scratch, folder)
        return self.page(client.get_run(run_id).info)

    def folders(self, run_id: str) -> list[str]:
        """Where the files of a run and of the models that it logged are; empty where there is no such run."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client = MlflowClient(tracking_uri=self.uri)
        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return []
            raise
        models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
        addresses = [run.info.artifact_uri, *(model.artifact_location for model in models)]
        return [address.rstrip("/").rpartition("/")[0] for address in addresses]

    @staticmethod
    def log_files(mlflow: Any, folder: str, files: Mapping[str, bytes]) -> None:
        """Put files, by name, into a folder of the active run."""
        with _as_files(files) as scratch:
            mlflow.log_artifacts(scratch, folder)

    def _experiment(self, client: Any, name: str) -> str:
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return experiment.experiment_id
        # MLflow's own default is a folder below wherever the process happens to run.
        location = None
        if self._settings.mlflow_tracking_uri is None:
            location = f"{self._settings.artifacts_url}/mlflow"
        return client.create_experiment(name, artifact_location=location)


@contextmanager
def _as_files(contents: Mapping[str, bytes]) -> Iterator[str]:
    """A folder with these files, for as long as it takes to log them."""
    with tempfile.TemporaryDirectory(prefix="e2i-") as scratch:
        for name, content in contents.items():
            (Path(scratch) / name).write_bytes(content)
        yield scratch


def _find_or_create(client: Any, experiment_id: str, name: str, tags: Mapping[str, str]) -> str:
    query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in sorted(tags.items()))
    runs = client.search_runs([experiment_id], query, max_results=1)
    return (runs[0] if runs else client.create_run(experiment_id, run_name=name, tags=dict(tags))).info.run_id
