"""What may go: pure, of what is stored, what is on record, and what is registered.

Only what this database knows the use of goes: a version that it has no record of may be of an earlier
release, or of another installation that keeps its artifacts in the same place.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from e2i_assets.lineage.trace import AFTER, asset_of
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.kept_files import Kept
from e2i_assets.warehouse.queries.deployments import Release
from e2i_assets.warehouse.queries.publications import Making

Key = tuple[str, str]
"""Asset and version."""
BUNDLE, MODEL, SPLITS = "bento_bundle", "trained_model", "splits"


@dataclass(frozen=True)
class Keep:
    """How much is kept of what nothing needs.

    Attributes:
        newest: versions of each asset and partition.
        since: whatever was published from then on is kept as well.
    """

    newest: int
    since: dt.datetime | None = None


@dataclass(frozen=True)
class Records:
    """What is on record of a partition.

    Attributes:
        makings: its publications, in their order.
        refused: versions that were stored and never published, as a gate refused them.
        published: the version of each asset that its pointer names.
        registered: every registered version, in whatever stage.
        built: tags of the bundles that were ever built.
        runs: MLflow runs of the models that were ever trained.
    """

    makings: Sequence[Making]
    refused: Collection[Key]
    published: Collection[Key]
    registered: Sequence[Version]
    built: Collection[str] = ()
    runs: Collection[str] = ()

    @property
    def known(self) -> set[Key]:
        """What the database knows the use of."""
        return {(one.asset, one.version) for one in self.makings} | set(self.refused)


def needed(records: Records) -> set[Key]:
    """Versions that something stands on: what is published or registered, and all that it was made of."""
    made: dict[Key, list[Making]] = defaultdict(list)
    readers: dict[Key, list[Making]] = defaultdict(list)
    for making in records.makings:
        made[making.asset, making.version].append(making)
        for source in making.inputs.values():
            readers[source.asset, source.version].append(making)
    roots = set(records.published)
    for version in records.registered:
        roots |= _registered(version, records.makings, readers)
    stands: set[Key] = set()
    waiting = list(roots)
    while waiting:
        key = waiting.pop()
        if key not in stands:
            stands.add(key)
            sources = (source for making in made[key] for source in making.inputs.values())
            waiting += [(source.asset, source.version) for source in sources]
    return stands


def _registered(
    version: Version, makings: Iterable[Making], readers: Mapping[Key, Sequence[Making]]
) -> set[Key]:
    """A registered version's own: its bundle, what came of it, and what it is on record to be trained on."""
    bundles = {
        (one.asset, one.version)
        for one in makings
        if one.asset == f"{version.scope}/{BUNDLE}" and one.files == version.files_hash
    }
    models = {
        (one.asset, one.version)
        for one in makings
        if one.asset == f"{version.scope}/{MODEL}" and one.mlflow_run_id == version.mlflow_run_id
    }
    own, waiting = set(), [*bundles, *models]
    while waiting:
        key = waiting.pop()
        if key not in own:
            own.add(key)
            after = (one for one in readers.get(key, ()) if one.asset.rpartition("/")[2] in AFTER)
            waiting += [(one.asset, one.version) for one in after]
    return own | {(asset_of(version.scope, name), str(of)) for name, of in version.trained_on.items()}


def versions_to_go(stored: Iterable[Kept], records: Records, keep: Keep) -> list[Kept]:
    """Stored versions that nothing needs and that are neither among the newest nor young.

    Those that a gate refused take no place of those that were published: each have their own newest.
    """
    stands, known = needed(records), records.known
    published_at = {(one.asset, one.version): one.published_at for one in records.makings}
    alike: dict[tuple[str, bool], list[tuple[dt.datetime, Kept]]] = defaultdict(list)
    for kept in stored:
        if kept.version in known:
            at = published_at.get(kept.version) or kept.modified or dt.datetime.min.replace(tzinfo=dt.UTC)
            alike[kept.version[0], kept.version in published_at].append((at, kept))
    going = []
    for versions in alike.values():
        versions.sort(key=lambda one: (one[0], one[1].name), reverse=True)
        going += [
            kept
            for place, (at, kept) in enumerate(versions)
            if kept.version not in stands and place >= keep.newest and (keep.since is None or at < keep.since)
        ]
    return sorted(going, key=lambda kept: kept.name)


def seals_to_go(sealed: Iterable[Kept], staying: Collection[Key], records: Records) -> list[Kept]:
    """Sealed splits that no version of the splits that stays has, and that one on record had.

    Args:
        staying: the versions that are stored and stay.
    """
    by_version: dict[Key, set[str]] = defaultdict(set)
    for one in records.makings:
        by_version[one.asset, one.version] |= {f"{name}-{seal}" for name, seal in (one.seals or {}).items()}
    # What a gate refused was never sealed.
    splits = {key for key in staying if key[0] == SPLITS} - set(records.refused)
    splits |= {(SPLITS, version.data_version) for version in records.registered}
    if any(not by_version[key] for key in splits):
        return []  # of a version from before seals were on record it is not known which are its own
    wanted = {name for key in splits for name in by_version[key]}
    recorded = {name for names in by_version.values() for name in names}
    return [one for one in sealed if one.name in recorded - wanted]


def bundles_to_go(
    bundles: Iterable[Kept], name: str, asset: str, staying: Collection[Key], records: Records
) -> list[Kept]:
    """Bundles of a model that are neither registered nor of a version that stays.

    Args:
        name: of the model.
        asset: that its bundles are versions of.
    """
    made: dict[Key, set[str]] = defaultdict(set)
    for one in records.makings:
        made[one.asset, one.version].add(f"{name}:{one.fingerprint}")
    stay = {key for key in staying if key[0] == asset} - set(records.refused)
    if any(not made[key] for key in stay):
        return []  # of a version from before its making was on record it is not known which is its own
    used = {tag for key in stay for tag in made[key]} | {one.bento_tag for one in records.registered}
    return [one for one in bundles if one.name in set(records.built) - used]


def runs_to_go(staying: Collection[Key], records: Records) -> Iterator[str]:
    """MLflow runs of models that neither stay nor are registered."""
    used = {one.mlflow_run_id for one in records.makings if (one.asset, one.version) in staying}
    used |= {version.mlflow_run_id for version in records.registered}
    yield from sorted(set(records.runs) - used)


def releases_to_go(
    stored: Iterable[Kept], asked: Sequence[Release], needed: Collection[str], keep: Keep
) -> list[Kept]:
    """Stored releases of a service that are neither needed nor among the newest nor young.

    None is lost with that: a release is built again from the bundles of its versions, which stay.

    Args:
        asked: every wish for a release, in their order.
        needed: what answers, is to be brought up, or is gone back to.
    """
    newest = list(dict.fromkeys(one.release for one in reversed(asked)))
    staying = {*needed, *newest[: keep.newest]}
    if keep.since is not None:
        staying |= {one.release for one in asked if one.created_at >= keep.since}
    return [kept for kept in stored if (of := kept.name.partition(":")[2]) in newest and of not in staying]


def logs_to_go(logs: Iterable[Kept], keep: Keep) -> list[Kept]:
    """What runs printed that are neither among the newest of their partition nor young.

    Args:
        logs: of finished runs, the newest first; `modified` is when its run was last heard of.
    """
    place: dict[str, int] = defaultdict(int)
    going = []
    for one in logs:
        place[one.partition] += 1
        young = keep.since is not None and one.modified is not None and one.modified >= keep.since
        if place[one.partition] > keep.newest and not young:
            going.append(one)
    return going
