"""Two gated stages and those that read them, small enough to be run in every way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import dagster as dg

from e2i_assets.errors import E2IError
from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse
from e2i_assets.partitions import partitions
from e2i_assets.resources.io_manager import ArtifactIOManager
from e2i_assets.resources.store import Published
from e2i_assets.resources.turns import partition_turn
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import FORCE, StageResult, stage

PARTITION, OTHER = partitions().get_partition_keys()[:2]
UPSTREAM, DOWNSTREAM = dg.AssetKey("upstream"), dg.AssetKey("downstream")


@dataclass(frozen=True)
class Number:
    value: int


class BadData(E2IError):
    code = "bad_data"


def positive(number: Number) -> Verdict:
    if number.value > 0:
        return ok("is positive", value=number.value)
    return refuse(
        "not_positive", f"{number.value} is not positive.", "Give a positive number.", value=number.value
    )


class World:
    """A gated stage, one that reads it, and what they computed."""

    def __init__(self, platform: SimpleNamespace) -> None:
        self.platform = platform
        self.instance = dg.DagsterInstance.ephemeral()
        self.numbers = {PARTITION: 1, OTHER: 1}
        self.computed: list[str] = []
        self.judge = positive
        self.raises: Exception | None = None
        self.hooked = False
        self.on_publish: Callable[[], None] = lambda: self.computed.append("on publish")

    @property
    def defs(self) -> dg.Definitions:
        world = self

        @stage(
            key="upstream", group="test", description="", kinds=set(),
            gates=(Gate("is_positive", "", lambda number: world.judge(number)), Gate("is_small", "", lambda _: ok("small"))),
            config=lambda context: world.numbers[context.partition],
        )  # fmt: skip
        def upstream(context: StageContext) -> StageResult:
            world.computed.append("upstream")
            if world.raises:
                raise world.raises
            pages = {"page": "report.html"}
            return StageResult(
                Number(world.numbers[context.partition]),
                metadata={"number": 1},
                pages=pages,
                on_publish=lambda: world.on_publish() if world.hooked else None,
            )

        @stage(
            key="downstream", group="test", description="", kinds=set(),
            inputs={"number": "upstream"},
        )  # fmt: skip
        def downstream(context: StageContext, number: Number) -> StageResult:
            world.computed.append(f"downstream of {number.value}")
            return StageResult(number)

        @stage(
            key="not_asked", group="test", description="", kinds=set(), scope="recurrence",
            gates=(Gate("is_not_asked", "", lambda _: ok("never")),), inputs={"number": "upstream"},
        )  # fmt: skip
        def not_asked(context: StageContext, number: Number) -> StageResult:
            raise AssertionError("no partition is served by this scope")

        @stage(
            key="after_it", group="test", description="", kinds=set(), scope="recurrence",
            inputs={"number": "not_asked"},
        )  # fmt: skip
        def after_it(context: StageContext, number: Number) -> StageResult:
            raise AssertionError("no partition is served by this scope")

        @stage(
            key="judged", group="test", description="", kinds=set(),
            gates=(Gate("is_judged", "", lambda _: ok("judged")),), inputs={"number": "downstream"},
        )  # fmt: skip
        def judged(context: StageContext, number: Number) -> StageResult:
            return StageResult(number)

        @stage(
            key="warned", group="test", description="", kinds=set(), gates=(Gate("is_small", "", lambda _: ok("small")),),
            warnings=(Gate("is_positive", "", lambda number: world.judge(number)),),
            config=lambda context: world.numbers[context.partition],
        )  # fmt: skip
        def warned(context: StageContext) -> StageResult:
            if world.raises:
                raise world.raises
            return StageResult(Number(7), warning_input=Number(world.numbers[context.partition]))

        manager = dg.IOManagerDefinition.hardcoded_io_manager(
            ArtifactIOManager(self.platform.store, self.platform.warehouse, self.platform.settings)
        )
        return dg.Definitions(
            assets=[upstream, downstream, judged, not_asked, after_it, warned],
            jobs=[dg.define_asset_job("both", partitions_def=partitions())],
            resources={**vars(self.platform), "io_manager": manager, "turn": partition_turn},
            executor=dg.in_process_executor,
        )

    def run(
        self, *assets: dg.AssetKey, partition: str = PARTITION, force: bool = False, sensor: str = ""
    ) -> dg.ExecuteInProcessResult:
        return self.defs.resolve_job_def("both").execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            partition_key=partition,
            asset_selection=list(assets) or [UPSTREAM, DOWNSTREAM],
            instance=self.instance,
            raise_on_error=False,
            tags=({FORCE: "true"} if force else {}) | ({"dagster/sensor_name": sensor} if sensor else {}),
        )

    def current(self, asset: str = "upstream", partition: str = PARTITION) -> Published | None:
        return self.platform.store.current(asset, partition)

    def value(self, asset: str) -> int:
        current = self.current(asset)
        assert current is not None
        return self.platform.store.read(asset, PARTITION, current.version, Number).value


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
