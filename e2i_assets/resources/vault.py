"""The split vault: test and holdout patients, each opened once for a model and written down when it is.

Sealed splits never pass through the artifact store, and lie encrypted (`resources/sealing.py`). The record of
an opening commits together with the work done on the split: if that work fails, the split stays unopened; the
attempt is written down all the same.

What the seal keeps out: whoever can read the vault's folder, bucket or backup but not its key, and every code
path but this one. What it does not: a process of the same user or of root can read the key file; whoever may
read `features` and `ml_split_assignments` can tell for themselves who is in test.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import psutil
import sqlalchemy as sa

from e2i_assets.resources.records import ACTIVE, bentoml_services, split_access, split_attempts
from e2i_assets.resources.sealing import RESEAL, SealBroken, VaultError, VaultKey
from e2i_assets.resources.warehouse import Warehouse
from e2i_assets.settings import Settings


class SplitSealed(VaultError):
    """The vault refuses to open a split; the message says why."""

    code = "split_sealed"


@dataclass
class Opened:
    """An opened split; whoever opened it sets the version of the stored result."""

    frame: pd.DataFrame
    result_version: str | None = None


class SplitVault:
    """Sealed splits under one root, and the rule that each opens once for a model."""

    def __init__(self, settings: Settings, warehouse: Warehouse) -> None:
        self._fs, path = fsspec.core.url_to_fs(settings.vault_url)
        self._root = path.rstrip("/")
        self._key = VaultKey(settings.vault_key_file, settings.vault_key)
        self._warehouse = warehouse

    def seal(self, partition: str, splits: Mapping[str, pd.DataFrame]) -> dict[str, str]:
        """Encrypt and store splits; returns the seal of each, a hash of its content before encryption.

        Files that a release before encryption left as plain Parquet are encrypted as well.

        Raises:
            VaultKeyError: the key cannot be used, or is gone while splits sealed with it are there.
        """
        # A new key beside splits of a lost one would hide the loss until they are wanted.
        if not self._fs.glob(f"{self._root}/*/*.sealed"):
            self._key.create_if_absent()
        for path in self._fs.glob(f"{self._root}/{partition}/*.parquet"):
            split = path.rsplit("/", 1)[1].rsplit("-", 1)[0]
            self._store(partition, split, self._fs.cat_file(path))
            self._fs.rm(path)
        contents = {split: frame.to_parquet(index=False) or b"" for split, frame in splits.items()}
        return {split: self._store(partition, split, content) for split, content in contents.items()}

    def result(self, split: str, model_fingerprint: str) -> str | None:
        """Version of what was learnt when the split was opened for a model; None when it never was."""
        with self._warehouse.engine.connect() as connection:
            return connection.scalar(
                sa.select(split_access.c.result_version).where(
                    split_access.c.split == split, split_access.c.model_fingerprint == model_fingerprint
                )
            )

    @contextmanager
    def open(
        self, partition: str, split: str, seal: str, *, model_fingerprint: str, purpose: str, run_id: str
    ) -> Iterator[Opened]:
        """Hand out a sealed split for the length of the block, which must end with a stored result.

        Every attempt, refused or not, leaves its row in `ml_split_attempts` before a patient is seen.

        Raises:
            SplitSealed: this model has already seen the split, or it is the holdout and the model is not
                deployed, or the block ended without a result.
            VaultKeyError, SealBroken: the split cannot be decrypted.
        """
        row = {
            "partition": partition, "split": split, "model_fingerprint": model_fingerprint,
            "purpose": purpose, "run_id": run_id, "opened_by": psutil.Process().username(),
        }  # fmt: skip
        with self._warehouse.engine.begin() as connection:
            try:
                key = _claim(connection, row)
                opened = Opened(self._read(partition, split, seal))
            except VaultError as error:
                self._warehouse.record(split_attempts, [row | {"outcome": error.code}])
                raise
            self._warehouse.record(split_attempts, [row | {"outcome": "opened"}])
            yield opened
            if opened.result_version is None:
                raise SplitSealed(
                    f"the {split} split of {partition} was opened and no result was stored.",
                    "Store what was learnt and set its version before the block ends.",
                )
            connection.execute(
                sa.update(split_access)
                .where(split_access.c.id == key)
                .values(result_version=opened.result_version)
            )

    def _read(self, partition: str, split: str, seal: str) -> pd.DataFrame:
        name = f"{partition}/{split}-{seal}"
        try:
            sealed = self._fs.cat_file(self._path(name))
        except FileNotFoundError as error:
            raise SealBroken(f"{name} is not in the vault {self._root} as a sealed file.", RESEAL) from error
        return pd.read_parquet(io.BytesIO(self._key.unseal(sealed, name)))

    def _store(self, partition: str, split: str, content: bytes) -> str:
        seal = hashlib.sha256(content).hexdigest()[:16]
        name = f"{partition}/{split}-{seal}"
        path = self._path(name)
        if self._fs.exists(path) and self._key.sealed_by_this(self._fs.head(path, 64)):
            return seal
        self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        part = f"{path}.{uuid.uuid4().hex}"
        self._fs.pipe_file(part, self._key.seal(content, name))
        if "file" in self._fs.protocol:
            Path(part).chmod(0o600)
            Path(path).parent.chmod(0o700)
        self._fs.mv(part, path)
        return seal

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}.sealed"


def _claim(connection: sa.Connection, row: Mapping[str, Any]) -> int:
    """Take the one opening there is, or wait for whoever holds it; it is free again if their work fails."""
    what = f"the {row['split']} split of {row['partition']}"
    model = row["model_fingerprint"]
    if row["split"] != "test" and not _deployed(connection, row):
        raise SplitSealed(
            f"{what} opens only for a model whose deployment is active; model {model} has none.",
            "Deploy the model first; until then judge it by validation and test.",
        )
    try:
        return connection.execute(
            sa.insert(split_access).values(row).returning(split_access.c.id)
        ).scalar_one()
    except sa.exc.IntegrityError as error:
        raise SplitSealed(
            f"{what} was already opened for model {model}; a model meets it once.",
            "Read the published evaluation of this model, or train another model.",
        ) from error


def _deployed(connection: sa.Connection, row: Mapping[str, Any]) -> bool:
    served = bentoml_services.c
    active = sa.exists().where(
        served.partition == row["partition"],
        served.model_fingerprint == row["model_fingerprint"],
        served.status == ACTIVE,
    )
    return bool(connection.scalar(sa.select(active)))
