"""MLflow's model registry, which follows the ledger: numbers of versions, aliases and tags."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from e2i_assets.registry.ledger import Model, NewVersion
from e2i_assets.registry.stages import DEVELOPMENT, PRODUCTION, SHADOW, STAGING

if TYPE_CHECKING:
    from mlflow import MlflowClient

ALIASES: Mapping[str, str] = {"champion": PRODUCTION, "shadow": SHADOW, "staging": STAGING}
"""Alias to the stage whose newest version it is of. Who is champion is said by the alias and by no tag."""
STAGE = "stage"
FILES_HASH = "files_hash"


class MlflowRegistry:
    """Versions in MLflow's registry, which knows no moves: its own stages are deprecated.

    Whoever calls holds the registry's lock: MLflow's own calls are not safe beside each other.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @cached_property
    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def number_of(self, version: NewVersion) -> int:
        """The number of a version, which is made when there is none with its files."""
        from mlflow.exceptions import MlflowException

        client, name = self._client, version.model_name
        same = client.search_model_versions(f"name = '{name}' and tag.{FILES_HASH} = '{version.files_hash}'")
        if same:
            return int(same[0].version)
        try:
            client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            of = {
                "scope": version.scope,
                "partition": version.partition,
                "problem_type": version.problem_type,
            }
            client.create_registered_model(name, tags=of)
        made = client.create_model_version(
            name,
            source=f"runs:/{version.mlflow_run_id}/model",
            run_id=version.mlflow_run_id,
            tags={
                STAGE: DEVELOPMENT,
                FILES_HASH: version.files_hash,
                "bento_tag": version.bento_tag,
                "model_fingerprint": version.model_fingerprint,
                "data_version": version.data_version,
            },
            await_creation_for=0,
        )
        return int(made.version)

    def follow(self, model: Model) -> None:
        """Bring aliases and stage tags to what the ledger says; what is so already is left alone."""
        client, name = self._client, model.name
        aliases, stages = client.get_registered_model(name).aliases, model.stages()
        # Numbers are text or not, as the store has it.
        now = {alias: int(number) for alias, number in aliases.items()}
        for alias, stage in ALIASES.items():
            newest = model.in_stage(stage)[-1:]
            if newest and now.get(alias) != newest[0].mlflow_version:
                client.set_registered_model_alias(name, alias, str(newest[0].mlflow_version))
            elif not newest and alias in now:
                client.delete_registered_model_alias(name, alias)
        tags = {int(known.version): known.tags for known in client.search_model_versions(f"name = '{name}'")}
        for version in model.versions:
            number, stage = version.mlflow_version, stages[version.version]
            if number in tags and tags[number].get(STAGE) != stage:
                client.set_model_version_tag(name, str(number), STAGE, stage)
