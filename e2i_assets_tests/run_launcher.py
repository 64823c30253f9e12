"""A run launcher whose runs are looked after by whoever tests, not by a process of Dagster's."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._serdes import ConfigurableClass
from dagster._serdes.config_class import ConfigurableClassData


class RunLauncherOfTests(RunLauncher, ConfigurableClass):
    """Says of a run that has not ended that its process is gone: nobody asks before."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data)

    @abstractmethod
    def carry_out(self, context: LaunchRunContext) -> None:
        """What becomes of a run."""

    def launch_run(self, context: LaunchRunContext) -> None:
        # By this tag Dagster knows whose process looks after it.
        self._instance.add_run_tags(context.dagster_run.run_id, {GRPC_INFO_TAG: json.dumps({"host": "here"})})
        self.carry_out(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND)

    def terminate(self, run_id: str) -> bool:
        raise NotImplementedError("nobody stops a run here")
