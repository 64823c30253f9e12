"""The split vault: test and holdout patients, each opened once for a model and written down when it is.

Sealed splits never pass through the artifact store. The record of an opening commits together with the work
done on the split: if that work fails, nothing was learnt from the split and it stays unopened.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pandas as pd
import sqlalchemy as sa

from e2i_assets.resources.records import split_access
from e2i_assets.resources.warehouse import Warehouse


class SplitSealed(RuntimeError):
    """The vault refuses to open a split; the message says why."""


@dataclass
class Opened:
    """An opened split; whoever opened it sets the version of the stored result."""

    frame: pd.DataFrame
    result_version: str | None = None


class SplitVault:
    """Sealed splits under one root, and the rule that each opens once for a model."""

    def __init__(self, root: str, warehouse: Warehouse) -> None:
        self._fs, path = fsspec.core.url_to_fs(root)
        self._root = path.rstrip("/")
        self._warehouse = warehouse

    def seal(self, partition: str, splits: Mapping[str, pd.DataFrame]) -> dict[str, str]:
        """Store sealed splits; returns the seal of each, a hash of its content."""
        return {split: self._seal(partition, split, frame) for split, frame in splits.items()}

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

        Raises:
            SplitSealed: this model has already seen the split, or it is the holdout, which opens only for
                a deployed model, or the block ended without a result.
        """
        if split != "test":
            raise SplitSealed(
                f"the {split} split of {partition} opens only for a model whose deployment is active"
            )
        row = {
            "partition": partition, "split": split, "model_fingerprint": model_fingerprint,
            "purpose": purpose, "run_id": run_id,
        }  # fmt: skip
        with self._warehouse.engine.begin() as connection:
            try:
                key = connection.scalar(sa.insert(split_access).values(row).returning(split_access.c.id))
            except sa.exc.IntegrityError as error:
                raise SplitSealed(
                    f"the {split} split of {partition} was already opened for model {model_fingerprint}; "
                    "a model meets it once. Its evaluation is the published one."
                ) from error
            opened = Opened(self._read(partition, split, seal))
            yield opened
            if opened.result_version is None:
                raise SplitSealed(f"the {split} split of {partition} was opened and no result was stored")
            connection.execute(
                sa.update(split_access)
                .where(split_access.c.id == key)
                .values(result_version=opened.result_version)
            )

    def _read(self, partition: str, split: str, seal: str) -> pd.DataFrame:
        with self._fs.open(self._path(partition, split, seal), "rb") as file:
            return pd.read_parquet(io.BytesIO(file.read()))

    def _seal(self, partition: str, split: str, frame: pd.DataFrame) -> str:
        content = frame.to_parquet(index=False)
        assert content is not None
        seal = hashlib.sha256(content).hexdigest()[:16]
        path = self._path(partition, split, seal)
        if not self._fs.exists(path):
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            with self._fs.open(f"{path}.part", "wb") as file:
                file.write(content)
            if "file" in self._fs.protocol:
                os.chmod(f"{path}.part", 0o600)  # noqa: PTH101 -- fsspec gives text paths
                Path(path).parent.chmod(0o700)
            self._fs.mv(f"{path}.part", path)
        return seal

    def _path(self, partition: str, split: str, seal: str) -> str:
        return f"{self._root}/{partition}/{split}-{seal}.parquet"
