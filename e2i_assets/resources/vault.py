"""The split vault: test and holdout patients, each opened once for a model and written down when it is.

Sealed splits never pass through the artifact store, and lie encrypted (`resources/sealing.py`). A split opens
for a model that is on record as trained, and the opening is on record before a patient is handed out. What is
learnt is recorded with it, so that nobody needs the split again: a lost evaluation is made from the record.

Work that fails, or is killed, leaves an opening without a result. It may be taken up again for the same model
and the same purpose, and for nothing else, until there is a result: the model is what it was, so the figures
are those that the first attempt would have given, and no choice between models can be made by them. Each
attempt is written down; two at once wait for one another.

What the seal keeps out: whoever can read the vault's or the artifacts' folder, bucket or backup but not the
key, and every code path but this one. What it does not: a process of the same user or of root can read the
key file; whoever may read the warehouse's tables of patients and `ml_split_assignments` can tell for
themselves who is in test.
"""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil

from e2i_assets.resources.sealing import (
    KEY_BYTES,
    RESEAL,
    SealBroken,
    VaultError,
    VaultKey,
    VaultKeyError,
)  # fmt: skip
from e2i_assets.resources.version_files import to_disk
from e2i_assets.settings import Settings
from e2i_assets.storage.filesystems import open_filesystem, rehearse
from e2i_assets.warehouse.queries.split_ledger import (
    Opening,
    OpeningRequest,
    SplitLedger,
    record_attempt,
    split_ledger,
    stored_result,
)

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse


SEALED = ".sealed"
"""How the name of a sealed split ends."""


class SplitSealed(VaultError):
    """The vault refuses to open a split; the message says why."""

    code = "split_sealed"


@dataclass
class Opened:
    """An opened split; whoever opened it sets what was learnt: aggregates in plain JSON types."""

    frame: pd.DataFrame
    result: Any = None


class VaultSeal:
    """Seals and opens contents with the key of an installation's vault."""

    def __init__(self, settings: Settings) -> None:
        self._fs, self._root = open_filesystem(settings.vault_url)
        self._key = VaultKey(settings.vault_key_file, settings.vault_key)

    def seal(self, content: bytes, name: str) -> bytes:
        """Encrypt under a name; the vault's key is made when there is nothing sealed yet, in a vault that is
        this machine's alone.

        Raises:
            VaultKeyError: the key cannot be used, or is gone while splits sealed with it are there, or is to
                be given.
        """
        # A new key beside splits of a lost one would hide the loss until they are wanted.
        if not self._key.is_there and not self._fs.glob(f"{self._root}/*/*{SEALED}"):
            if "file" not in self._fs.protocol:
                raise VaultKeyError(
                    f"the vault {self._root} has no key yet, and is where other machines share it.",
                    f"Make one (openssl rand -base64 {KEY_BYTES}), and give it to each in E2I_VAULT_KEY.",
                )
            self._key.create_if_absent()
        return self._key.seal(content, name)

    def unseal(self, sealed: bytes, name: str) -> bytes:
        """Decrypt what was sealed under this name.

        Raises:
            SealBroken, VaultKeyError: see `VaultKey.unseal`.
        """
        return self._key.unseal(sealed, name)

    def opens(self, start: bytes) -> bool:
        """Whether contents with this start were sealed with this key."""
        return self._key.sealed_by_this(start)


class SealedFiles:
    """The vault's files as such, for whoever counts or removes them; none is opened here."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.vault_url
        self._fs, self._root = open_filesystem(self._url)

    def of(self, partition: str) -> dict[str, int]:
        """Path to bytes of everything in a partition's folder, also what a killed process left there."""
        paths = sorted(self._fs.glob(f"{self._root}/{partition}/*"))
        return {path: self._fs.size(path) or 0 for path in paths}

    def rehearse(self) -> None:
        """See that sealed splits could be stored where the vault is.

        Raises:
            StoreUnavailable: they could not.
        """
        rehearse(self._url)

    def any(self) -> bool:
        """Whether anything is sealed."""
        return bool(self._fs.glob(f"{self._root}/*/*{SEALED}"))

    def remove(self, path: str) -> None:
        """Remove a file; what is gone already is fine."""
        if self._fs.exists(path):
            self._fs.rm_file(path)


def seals_of(splits: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """The seal that each split gets in the vault: a hash of its content before encryption."""
    return {split: _seal_of(_content(frame)) for split, frame in splits.items()}


def _content(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet(index=False) or b""


def _seal_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


class SplitVault:
    """Sealed splits under one root, and the rule that each opens once for a model."""

    def __init__(self, settings: Settings, warehouse: Warehouse) -> None:
        self._fs, self._root = open_filesystem(settings.vault_url)
        self._seal = VaultSeal(settings)
        self._warehouse = warehouse

    def seal(self, partition: str, splits: Mapping[str, pd.DataFrame]) -> dict[str, str]:
        """Encrypt and store splits; returns the seal of each (`seals_of`).

        Files that a release before encryption left as plain Parquet are encrypted as well.

        Raises:
            VaultKeyError: the key cannot be used, or is gone while splits sealed with it are there.
        """
        for path in self._fs.glob(f"{self._root}/{partition}/*.parquet"):
            split = path.rsplit("/", 1)[1].rsplit("-", 1)[0]
            self._store(partition, split, self._fs.cat_file(path))
            self._fs.rm(path)
        return {split: self._store(partition, split, _content(frame)) for split, frame in splits.items()}

    def missing(self, partition: str, seals: Mapping[str, str]) -> list[str]:
        """Sealed splits that are not there any more, by name; whether they can be opened is not tried."""
        names = [f"{partition}/{split}-{seal}" for split, seal in seals.items()]
        return [name for name in names if not self._fs.exists(self._path(name))]

    def result(self, partition: str, split: str, model_fingerprint: str) -> Any:
        """What was learnt when the split was opened for a model; None when nothing has been."""
        text = stored_result(self._warehouse, partition, split, model_fingerprint)
        return None if text is None else json.loads(text)

    @contextmanager
    def open(
        self, partition: str, split: str, seal: str, *, model_fingerprint: str, purpose: str, run_id: str
    ) -> Iterator[Opened]:
        """Hand out a sealed split for the length of the block, which must end with a result.

        The opening, and every attempt, refused or not, is committed before a patient is seen.

        Raises:
            SplitSealed: no such model was trained, or there is a result for it already, or the split was
                opened for another purpose, or it is the holdout and the model is not deployed, or the block
                ended without a result.
            VaultKeyError, SealBroken: the split cannot be decrypted.
        """
        user = psutil.Process().username()
        request = OpeningRequest(partition, split, model_fingerprint, purpose, run_id, user)
        with split_ledger(self._warehouse) as ledger:
            try:
                _require_model(ledger, request)
                opened = Opened(self._read(partition, split, seal))
                opening = _claim(ledger, request)
            except VaultError as error:
                record_attempt(self._warehouse, request, error.code)
                raise
            record_attempt(self._warehouse, request, "opened" if opening.new else "resumed")
            yield opened
            if opened.result is None:
                raise SplitSealed(
                    f"the {split} split of {partition} was opened and no result was stored.",
                    "Set what was learnt before the block ends.",
                )
            text = json.dumps(opened.result, sort_keys=True)
            version = hashlib.sha256(text.encode()).hexdigest()[:16]
            ledger.finish(opening, text, version)

    def _read(self, partition: str, split: str, seal: str) -> pd.DataFrame:
        name = f"{partition}/{split}-{seal}"
        try:
            sealed = self._fs.cat_file(self._path(name))
        except FileNotFoundError as error:
            raise SealBroken(f"{name} is not in the vault {self._root} as a sealed file.", RESEAL) from error
        return pd.read_parquet(io.BytesIO(self._seal.unseal(sealed, name)))

    def _store(self, partition: str, split: str, content: bytes) -> str:
        seal = _seal_of(content)
        name = f"{partition}/{split}-{seal}"
        path = self._path(name)
        if self._holds(name, content):
            return seal
        if "file" not in self._fs.protocol:
            self._fs.pipe_file(path, self._seal.seal(content, name))  # an object is there as a whole
            return seal
        self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        part = f"{path}.{uuid.uuid4().hex}"
        self._fs.pipe_file(part, self._seal.seal(content, name))
        Path(part).chmod(0o600)
        Path(path).parent.chmod(0o700)
        to_disk(Path(part))
        self._fs.mv(part, path)
        to_disk(Path(path).parent, whole=False)
        return seal

    def _holds(self, name: str, content: bytes) -> bool:
        """Whether a file is there that this key opens to the content; what is damaged is sealed anew."""
        try:
            return self._seal.unseal(self._fs.cat_file(self._path(name)), name) == content
        except (FileNotFoundError, VaultError):
            return False

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}{SEALED}"


def _require_model(ledger: SplitLedger, request: OpeningRequest) -> None:
    what, model = _what(request), request.model_fingerprint
    if not ledger.is_trained(request):
        raise SplitSealed(
            f"{what} opens only for a model that ml_training_runs has; model {model} is not there.",
            "Materialize trained_model; it records what it trains.",
        )
    if request.split != "test" and not ledger.is_deployed(request):
        raise SplitSealed(
            f"{what} opens only for a model whose deployment is active; model {model} has none.",
            "Deploy the model first; until then judge it by validation and test.",
        )


def _claim(ledger: SplitLedger, request: OpeningRequest) -> Opening:
    """The one opening there is; it may be taken up again for its own purpose until it has a result."""
    opening = ledger.claim(request)
    what, model = _what(request), request.model_fingerprint
    if opening.finished:
        raise SplitSealed(
            f"{what} was already opened for model {model}; a model meets it once.",
            "Read the published evaluation of this model, or train another model.",
        )
    if opening.purpose != request.purpose:
        raise SplitSealed(
            f"{what} was already opened for model {model} for {opening.purpose}, which has not been "
            "finished.",
            f"Materialize {opening.purpose}; a model meets the split once, for one purpose.",
        )
    return opening


def _what(request: OpeningRequest) -> str:
    return f"the {request.split} split of {request.partition}"
