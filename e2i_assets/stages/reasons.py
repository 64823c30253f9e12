"""Why a stage is made: what has changed since its published version, or what is wrong with that."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from e2i_assets.resources.io_manager import unproven
from e2i_assets.stages.code_version import sources
from e2i_assets.warehouse.queries.publications import Publication, code_modules, publication_of, storable

if TYPE_CHECKING:
    from e2i_assets.resources.store import Published
    from e2i_assets.stages.context import StageContext
    from e2i_assets.stages.recipe import Lost

Code = Literal[
    "forced", "never_made", "code_changed", "configuration_changed", "input_changed", "input_made_anew",
    "damaged", "not_judged", "cannot_run",
]  # fmt: skip
SHOWN_MODULES = 5


@dataclass(frozen=True)
class Reason:
    """Why a stage is made, or may be: `code` for a program, `text` for a person."""

    code: Code
    text: str


FORCED = Reason("forced", "asked for with --force")
NEVER_MADE = Reason("never_made", "no version is published")


def reasons(
    context: StageContext, published: Published | None, gates: Collection[str], lost: Lost | None = None
) -> list[Reason]:
    """Why the published version is not what would be made now, judged and whole; none where it is."""
    if published is None:
        return [NEVER_MADE]
    if published.fingerprint != context.fingerprint:
        return _changes(context, published)
    return list(faults(context, published, gates, lost))


def code_change(context: StageContext, published: Published) -> Reason | None:
    """What the code that decides a stage differs in from that of its published version."""
    if published.code == context.code:
        return None
    before, now = code_modules(context.warehouse, published.code), sources(context.module)
    if before is None:
        return Reason("code_changed", "made by the code of another release")
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    listed = ", ".join(name.partition(".")[2] for name in changed[:SHOWN_MODULES])
    more = len(changed) - SHOWN_MODULES
    return Reason("code_changed", f"code changed: {listed}{f' and {more} more' if more > 0 else ''}")


def _changes(context: StageContext, published: Published) -> list[Reason]:
    code = code_change(context, published)
    record = publication_of(
        context.warehouse, published.asset, published.partition, published.version, published.run_id
    )
    if record is None:
        unknown = Reason(
            "input_changed", "inputs or configuration changed; of what it was made is not on record"
        )
        return [code or unknown]
    changes = [code, _configuration_change(context.config, record.config), *_input_changes(context, record)]
    return [reason for reason in changes if reason is not None]


def _configuration_change(now: Any, before: Any) -> Reason | None:
    now = storable(now)
    if now == before:
        return None
    if not (isinstance(now, Mapping) and isinstance(before, Mapping)):
        return Reason("configuration_changed", "configuration changed")
    keys = sorted(key for key in now.keys() | before.keys() if now.get(key) != before.get(key))
    if keys == ["load"]:
        return Reason("configuration_changed", f"load {now['load']} came after load {before['load']}")
    return Reason("configuration_changed", f"configuration changed: {', '.join(keys)}")


def _input_changes(context: StageContext, record: Publication) -> Iterator[Reason]:
    for name in sorted(context.inputs.keys() | record.inputs.keys()):
        now, before = context.inputs.get(name), record.inputs.get(name)
        if now and before and now.version == before.version:
            continue
        versions = " to ".join(made.version if made else "none" for made in (before, now))
        yield Reason("input_changed", f"{now.asset if now else name} changed from {versions}")


def faults(
    context: StageContext, published: Published, gates: Collection[str], lost: Lost | None = None
) -> Iterator[Reason]:
    """What is wrong with a published version, whatever would be made now."""
    damage = context.store.damage(published.asset, published.partition, published.version)
    if damage := damage or (lost(context, published) if lost else None):
        yield Reason("damaged", damage)
    elif missing := unproven(published, gates, context.warehouse):
        yield Reason("not_judged", f"no passed record of {', '.join(missing)}")
