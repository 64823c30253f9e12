"""Which PostgreSQL is used. One database, one schema for each owner."""

from __future__ import annotations

import os
from typing import Literal
from urllib.parse import quote, urlencode

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from e2i_assets.addresses import without_secrets
from e2i_assets.home import open_home
from e2i_assets.settings import Settings
from e2i_assets.warehouse.embedded import start_embedded
from e2i_assets.warehouse.errors import WarehouseUnavailable

Driver = Literal["psycopg", "psycopg2", ""]
SESSION = {"dagster": ["-csynchronous_commit=off"]}
"""Settings of a schema's sessions. Dagster's log would wait for the disk some 250 times in a run; a crash of
the server may lose its last half second. Data, records and published versions wait."""


def server_url(settings: Settings) -> URL:
    """URL of the database, starting the embedded server when no other is configured.

    Raises:
        WarehouseUnavailable: the embedded server does not start, or the URL of another is none.
    """
    if settings.database_url is not None:
        open_home(settings.home_dir)
        try:
            return make_url(settings.database_url.get_secret_value()).set(drivername="postgresql")
        except (ArgumentError, ValueError):
            # The library's message, and this one's cause, may hold the password.
            raise WarehouseUnavailable(
                "E2I_DATABASE_URL is no URL.",
                "Write postgresql://user:password@host:5432/database, with special characters of the "
                "password as %xx.",
            ) from None
    return make_url(start_embedded(settings.home_dir / "postgres"))


def url_for(settings: Settings, schema: str, driver: Driver = "psycopg") -> str:
    """Connection string of one schema (`e2i`, `mlflow`, `dagster`).

    The driver is named because the bare scheme means psycopg 3 to SQLAlchemy 2.1, whose NOTIFY
    dagster-postgres cannot read.
    """
    url = server_url(settings)
    own = url.normalized_query.get("options", ())
    options = " ".join([*own, f"-csearch_path={schema}", *SESSION.get(schema, ())])
    url = url.update_query_dict({"options": options})
    if not driver:
        return _of_libpq(url)
    return url.set(drivername=f"postgresql+{driver}").render_as_string(hide_password=False)


def _of_libpq(url: URL) -> str:
    """A URL as PostgreSQL's library reads it.

    SQLAlchemy leaves a space of a password as it is, and writes one of a query as `+`.
    """
    login = ":".join(quote(part, safe="") for part in (url.username, url.password) if part is not None)
    host = f"[{url.host}]" if ":" in (url.host or "") else url.host or ""
    place = f"{host}:{url.port}" if url.port else host
    asked = urlencode(url.query, doseq=True, quote_via=quote, safe="/")
    return f"postgresql://{login}{'@' if login else ''}{place}/{quote(url.database or '', safe='')}?{asked}"


def psql_address(settings: Settings) -> tuple[str, dict[str, str]]:
    """Address of the warehouse's schema for psql, and its password as psql reads it from the environment."""
    url = make_url(url_for(settings, "e2i", ""))
    password = url.password or url.query.get("password")
    # Every user of a machine sees arguments; psql asks for the password of a client's key. To `URL.set` None
    # means no change.
    url = url._replace(password=None).difference_update_query(["password", "sslpassword"])
    address = _of_libpq(url)
    return address, {"PGPASSWORD": str(password)} if password else {}


def import_whole_driver() -> None:
    """Import all that a thread that reads Dagster's event log will use.

    Were a run to import it while the thread uses it, the thread would see half of it.
    """
    import sqlalchemy.orm  # noqa: F401


def called(url: URL) -> str:
    """A database's address for a person."""
    return without_secrets(url.render_as_string(hide_password=False))


def export(settings: Settings) -> None:
    """Set what Dagster, BentoML and MLflow read from the environment, here and for child processes."""
    open_home(settings.home_dir)
    settings.dagster_home.mkdir(exist_ok=True)
    os.environ["E2I_HOME"] = str(settings.home_dir)
    os.environ["E2I_CONFIG"] = str(settings.config_dir)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    os.environ["E2I_DAGSTER_URL"] = url_for(settings, "dagster", "psycopg2")
    os.environ["E2I_CONCURRENT_RUNS"] = str(settings.concurrent_runs)
    os.environ["BENTOML_HOME"] = str(settings.bento_home)
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    # Left alone MLflow names ./mlruns in its first experiment, and writes that name into SQL as it is.
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = settings.mlflow_root
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # MLflow sets its own level when it is imported.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
