"""Where things are: the E2I_* environment, resolved once per process. No secrets are printed, ever."""

from __future__ import annotations

import datetime as dt
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from e2i_assets.addresses import without_secrets
from e2i_assets.errors import E2IError
from e2i_assets.observability.otlp import parse_headers


class SettingsError(E2IError, ValueError):
    """An environment variable that cannot be used; names it, never its value."""

    code = "settings"
    next_step = "Correct or unset the environment variable that the message names."


class Settings(BaseSettings):
    """The environment of one installation; `home` is the variable `E2I_HOME`, and so on.

    Attributes:
        home: folder where everything is kept, here or else that of the clone; its path may have any letters.
        config: folder of the YAML configuration, here or else that of the clone; `e2i init` writes one.
        database_url: another PostgreSQL, `postgresql://user@host:5432/database`, instead of the embedded one;
            behind a `?` what its library knows, such as `sslmode=verify-full`.
        artifacts: folder or URL of the artifacts and, with `.vault` at its end, of the sealed splits,
            `s3://bucket/prefix` or `gs://bucket/prefix`; `<home>/artifacts` where nothing is said.
        mlflow_tracking_uri: a team's MLflow server, instead of the schema `mlflow` of the database.
        vault_key: key of the sealed splits, 32 bytes in base64; the file `<home>/vault.key` otherwise, which
            is made when the first splits are sealed, but for those on object storage: machines share that,
            and are each given the key.
        mlflow_url: where `e2i mlflow` serves the runs that Dagit links to.
        dask_address: scheduler of a Dask cluster whose workers have this package: trials of a study and
            refutations of an effect run there, with the same result as on this machine's free cores.
        dask_training_rows: rows of train from which on XGBoost and LightGBM are fitted over that cluster;
            never where nothing is said, since such a model is one process's within noise, not to the byte.
        batch_size: rows of a batch of a load.
        as_of: day on which the age of data is judged, and on which synthetic data end; today otherwise.
        concurrent_runs: runs that Dagster has go on at the same time, those of a backfill too; each takes
            a core and some 2 GB.
        serving_host: address on which services and operations API listen.
        classification_port, regression_port, causal_port: port of the service of that name.
        api_port: port of the operations API.
        api_token: what the operations API wants of whoever changes something; without one it changes nothing.
        health_seconds: time between two health checks of a service.
        trace_predictions: share of predictions of which a service keeps a span, and of those that failed
            always; 0 turns that off.
        trace_runs: share of runs of which spans of stages, gates and trials are kept; of the others only what
            went wrong; 0 turns that off.
        otlp_endpoint: base address where spans go over OTLP/HTTP as well, to `/v1/traces` below it.
        otlp_headers: headers of that, `name=value,name=value`.
        openlineage_url: file, or address of a receiver (`/api/v1/lineage` below it), that every computed
            stage is told to.
        small_cells: `hide` tells counts of few patients as `<5` and rounds all others in cohort, features and
            splits.
    """

    model_config = SettingsConfigDict(env_prefix="E2I_")

    home: Path = Path(".e2i")
    config: Path = Path("config")
    database_url: SecretStr | None = None
    artifacts: str | None = Field(default=None)
    mlflow_tracking_uri: str | None = None
    vault_key: SecretStr | None = None
    mlflow_url: str = "http://127.0.0.1:5000"
    dask_address: str | None = None
    dask_training_rows: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=1_000, ge=1)
    as_of: dt.date | None = None
    concurrent_runs: int = Field(default=2, ge=1)
    serving_host: str = "127.0.0.1"
    classification_port: int = Field(default=3001, ge=1, le=65535)
    regression_port: int = Field(default=3002, ge=1, le=65535)
    causal_port: int = Field(default=3003, ge=1, le=65535)
    api_port: int = Field(default=8000, ge=1, le=65535)
    api_token: SecretStr | None = None
    health_seconds: float = Field(default=30.0, gt=0)
    trace_predictions: float = Field(default=0.1, ge=0, le=1)
    trace_runs: float = Field(default=1.0, ge=0, le=1)
    otlp_endpoint: str | None = None
    otlp_headers: SecretStr = SecretStr("")
    openlineage_url: str | None = None
    small_cells: Literal["show", "hide"] = "show"

    @field_validator("dask_training_rows")
    @classmethod
    def _has_a_cluster(cls, rows: int | None, given: ValidationInfo) -> int | None:
        if rows is not None and not given.data.get("dask_address"):
            raise ValueError("needs the cluster's address in E2I_DASK_ADDRESS")
        return rows

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not re.match(r"(postgres|postgresql)(\+\w+)?://", url.get_secret_value()):
            raise ValueError("must be the URL of a PostgreSQL, postgresql://user@host:5432/database")
        return url

    @field_validator("artifacts")
    @classmethod
    def _holds_no_secret(cls, url: str | None) -> str | None:
        if url and url != without_secrets(url):
            raise ValueError(
                "the address stands in records and pages, so it may hold no password, ? or #: give a login "
                "as the library of the storage takes it (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a "
                "profile or role; GOOGLE_APPLICATION_CREDENTIALS)"
            )
        return url.rstrip("/") if url else None

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url and not re.match(r"https?://[^/]", url):
            raise ValueError("must be an address, http://host:4318")
        return url or None

    @field_validator("otlp_headers")
    @classmethod
    def _are_headers(cls, text: SecretStr) -> SecretStr:
        parse_headers(text.get_secret_value())
        return text

    @property
    def today(self) -> dt.date:
        """`E2I_AS_OF`, else today in UTC."""
        return self.as_of or dt.datetime.now(dt.UTC).date()

    @property
    def day_of_judgement(self) -> str:
        """`today` for a report, which says where it is not the calendar's."""
        return f"{self.today} (E2I_AS_OF)" if self.as_of else str(self.today)

    @property
    def home_dir(self) -> Path:
        """Absolute `E2I_HOME`; else `.e2i` where it is here, or that of the clone that this is."""
        chosen = self.home.expanduser().resolve()
        elsewhere = "home" not in self.model_fields_set and not chosen.is_dir()
        return clone / ".e2i" if elsewhere and (clone := _clone()) else chosen

    @property
    def config_dir(self) -> Path:
        """Absolute configuration folder: `E2I_CONFIG`, else `config/` here or that of the clone that this is.

        Raises:
            SettingsError: there is no such folder.
        """
        chosen = self.config.expanduser().resolve()
        if chosen.is_dir():
            return chosen
        if "config" in self.model_fields_set:
            raise SettingsError(
                f"E2I_CONFIG: {chosen} is no folder.", "`e2i init FOLDER` writes FOLDER/config."
            )
        if clone := _clone():
            return clone / "config"
        raise SettingsError(
            f"{chosen.parent} has no configuration (config/).",
            "Go to a folder that has one, name it in E2I_CONFIG, or write one to start from: e2i init FOLDER",
        )

    @property
    def workspace(self) -> Path:
        """Dagster's list of code locations: that beside the configuration, else the one that is shipped."""
        beside = self.config_dir.with_name("workspace.yaml")
        return beside if beside.is_file() else shipped("workspace.yaml")

    @property
    def artifacts_url(self) -> str:
        """Root of the artifact store."""
        return self.artifacts or str(self.home_dir / "artifacts")

    @property
    def shares_artifacts(self) -> bool:
        """Whether artifacts are at an address that other machines reach as well, and not in a folder."""
        return "://" in self.artifacts_url

    @property
    def mlflow_root(self) -> str:
        """Root of MLflow's files as a URL, which no quote or space of a folder's name is in."""
        root = f"{self.artifacts_url}/mlflow"
        return root if "://" in root else Path(root).absolute().as_uri()

    @property
    def bento_home(self) -> Path:
        """BentoML's store of bundles."""
        return self.home_dir / "bentoml"

    @property
    def serving_dir(self) -> Path:
        """What is known of the processes of services: a folder each, and the router."""
        return self.home_dir / "serving"

    @property
    def service_ports(self) -> dict[str, int]:
        """Service to the port on which it is asked."""
        return {
            "classification-service": self.classification_port,
            "regression-service": self.regression_port,
            "causal-service": self.causal_port,
        }

    def service_url(self, service: str) -> str:
        """Address of a service, asked from this machine."""
        everywhere = self.serving_host in ("0.0.0.0", "::")
        return f"http://{'127.0.0.1' if everywhere else self.serving_host}:{self.service_ports[service]}"

    @property
    def vault_url(self) -> str:
        """Root of the sealed splits, apart from the artifacts."""
        return f"{self.artifacts}.vault" if self.artifacts else str(self.home_dir / "vault")

    @property
    def vault_key_file(self) -> Path:
        """Key file of the vault, apart from what it seals."""
        return self.home_dir / "vault.key"

    @property
    def studies_dir(self) -> Path:
        """What interrupted hyperparameter studies have already fitted."""
        return self.home_dir / "studies"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder."""
        return self.home_dir / "dagster"


def shipped(name: str) -> Path:
    """What comes along with the package: `config`, `deploy` or `workspace.yaml`.

    In a clone these are links to its top level.
    """
    return Path(str(files("e2i_assets"))) / "shipped" / name


def _clone() -> Path | None:
    """The clone that this package is used from; None where it is installed."""
    config = shipped("config")
    return config.resolve().parent if config.is_symlink() else None


@cache
def settings() -> Settings:
    """The settings of this process; read from the environment on first use.

    Raises:
        SettingsError: a variable that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [
            f"E2I_{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise SettingsError("; ".join(wrong)) from error


def config_dir() -> Path:
    """Folder of the YAML configuration."""
    return settings().config_dir
