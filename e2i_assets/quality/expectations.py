"""Layer 3: business rules as Great Expectations suites. The rules are files in `config/expectations/`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from e2i_assets.quality.config import Expectation, Suite, SuiteStatus
from e2i_assets.quality.datadocs import suite_page
from e2i_assets.quality.suite_result import FailedExpectation, Status, SuiteResult

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite, ExpectationValidationResult
    from great_expectations.datasource.fluent import PandasDatasource
    from great_expectations.datasource.fluent.interfaces import Batch

_ORDER = "e2i_order"  # in an expectation's meta: Great Expectations returns results in an order of its own
_LOG = logging.getLogger(__name__)


def run_suites(
    suites: Sequence[Suite], tables: Mapping[str, pl.DataFrame], status: SuiteStatus
) -> tuple[SuiteResult, ...]:
    """Run each suite on its table. What a suite meets is its result, and it blocks.

    Great Expectations runs in memory, without progress bars, files or network, and reports counts only.

    Raises:
        ImportError: Great Expectations, or what it needs, is not installed.
    """
    source = _source()
    return tuple(_run_or_error(source, suite, tables, status) for suite in suites)


def _run_or_error(
    source: PandasDatasource, suite: Suite, tables: Mapping[str, pl.DataFrame], status: SuiteStatus
) -> SuiteResult:
    if suite.table in tables and not tables[suite.table].height:
        return SuiteResult(suite.suite, suite.table, 0, 0, (), 0.0, "empty")
    try:
        return _run(source, suite, tables, status)
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001 - a library of hundreds of rules: whatever it raises must block
        # The message may quote a value, so the report carries the kind of error only.
        _LOG.debug("suite %s could not be run", suite.suite, exc_info=True)
        return _errored(suite, type(error).__name__)


def _errored(suite: Suite, error: str) -> SuiteResult:
    return SuiteResult(suite.suite, suite.table, 0, 0, (), 0.0, "error", error=error)


def _run(
    source: PandasDatasource, suite: Suite, tables: Mapping[str, pl.DataFrame], status: SuiteStatus
) -> SuiteResult:
    needed = [suite.table, *[_parent(e) for e in suite.expectations if e.values_from]]
    if absent := sorted({t for t in needed if t not in tables}):
        return _errored(suite, f"missing tables: {', '.join(absent)}")
    used = {c for e in suite.expectations for c in e.needs}
    if missing := sorted(used - set(tables[suite.table].columns)):
        return _errored(suite, f"missing columns: {', '.join(missing)}")
    frame = _judged_frame(suite, tables)
    validation = _batch(source, suite, frame).validate(
        _gx_suite(suite), result_format={"result_format": "BASIC", "partial_unexpected_count": 0}
    )
    by_order = {r.expectation_config.meta[_ORDER]: r for r in validation.results if r.expectation_config}
    pairs = [(e, by_order[i]) for i, e in enumerate(suite.expectations)]
    if raised := [_label(e) for e, r in pairs if _raised(r)]:
        return _errored(suite, f"could not be evaluated: {', '.join(raised)}")
    judged = [(e, r) for e, r in pairs if _judged_something(e, r, frame)]
    idle = tuple(_label(e) for e, r in pairs if not _judged_something(e, r, frame))
    verdict = _verdict(suite, judged, idle, status)
    return replace(verdict, page=suite_page(suite, verdict, [r for _, r in judged]))


def _verdict(
    suite: Suite,
    judged: Sequence[tuple[Expectation, ExpectationValidationResult]],
    idle: tuple[str, ...],
    status: SuiteStatus,
) -> SuiteResult:
    failed = tuple(
        FailedExpectation(
            e.type,
            _judged_column(e) if e.where else ", ".join(e.columns),
            r.result.get("unexpected_count"),
            e.why,
        )
        for e, r in judged
        if not r.success
    )
    successful = len(judged) - len(failed)
    rate = successful / len(judged) if judged else 0.0
    return SuiteResult(
        suite.suite,
        suite.table,
        evaluated=len(judged),
        successful=successful,
        failed=failed,
        success_rate=rate,
        status=_status(len(judged), rate, status),
        not_evaluated=idle,
    )


def _status(evaluated: int, rate: float, bars: SuiteStatus) -> Status:
    if not evaluated or rate < bars.warning:
        return "failed"
    return "passed" if rate >= bars.passed else "warning"


def _judged_something(
    expectation: Expectation, result: ExpectationValidationResult, frame: pl.DataFrame
) -> bool:
    """False for a rule over a column that is null throughout: it passes, and says nothing."""
    elements, missing = result.result.get("element_count"), result.result.get("missing_count", 0)
    if elements is not None:
        return bool(elements > missing)
    # A figure of the whole column, such as its mean, comes without counts.
    return not expectation.columns or frame[_judged_column(expectation)].count() > 0


def _raised(result: ExpectationValidationResult) -> bool:
    # One entry with the flag itself, or one entry per metric that failed.
    info = result.exception_info or {}
    return bool(info.get("raised_exception", bool(info)))


def _label(expectation: Expectation) -> str:
    limit = f" where {expectation.where}" if expectation.where else ""
    return f"{expectation.type} ({', '.join(expectation.columns) or 'table'}{limit})"


def _parent(expectation: Expectation) -> str:
    return str(expectation.values_from).partition(".")[0]


def _judged_column(expectation: Expectation) -> str:
    """Name of the column that Great Expectations sees for a rule about one column."""
    name = expectation.columns[0]
    if expectation.values_from:
        return f"{name} in {expectation.values_from}"
    return f"{name} where {expectation.where}" if expectation.where else name


def _membership(expectation: Expectation, tables: Mapping[str, pl.DataFrame]) -> pl.Expr:
    """Whether each value is one of the other table's; null stays null.

    Handing the other table's keys over as a `value_set` is the obvious way; Great Expectations then copies
    the whole list some hundred times a rule.
    """
    table, _, key = str(expectation.values_from).partition(".")
    known = tables[table][key].drop_nulls().unique()
    return pl.col(expectation.columns[0]).is_in(known.implode()).alias(_judged_column(expectation))


def _source() -> PandasDatasource:
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    # Its own default has a site in the temporary folder, in whose name it takes a `$` for a variable.
    nothing_on_disk = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults())
    context = gx.get_context(mode="ephemeral", project_config=nothing_on_disk)
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context.data_sources.add_pandas("extracts")


def _judged_frame(suite: Suite, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """What the suite's rules read: columns, memberships in other tables, columns limited to some rows."""
    used = sorted({c for e in suite.expectations for c in e.columns})
    derived = {_judged_column(e): _membership(e, tables) for e in suite.expectations if e.values_from}
    derived |= {_judged_column(e): _limited(e) for e in suite.expectations if e.where}
    return tables[suite.table].select(pl.col(used) if used else pl.all(), *derived.values())


def _limited(expectation: Expectation) -> pl.Expr:
    inside = pl.sql_expr(str(expectation.where))
    return pl.when(inside).then(pl.col(expectation.columns[0])).alias(_judged_column(expectation))


def _batch(source: PandasDatasource, suite: Suite, frame: pl.DataFrame) -> Batch:
    asset = source.add_dataframe_asset(suite.suite)
    whole = asset.add_batch_definition_whole_dataframe("partition")
    return whole.get_batch(batch_parameters={"dataframe": frame.to_pandas()})


def _gx_suite(suite: Suite) -> ExpectationSuite:
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    built = gx.ExpectationSuite(name=suite.suite)
    for order, e in enumerate(suite.expectations):
        renamed = {"column": _judged_column(e)} if e.values_from or e.where else {}
        kwargs = {**e.kwargs, **renamed, **({"value_set": [True]} if e.values_from else {})}
        # Neither the constructor's `expectations=` (drops a rule that is not valid with no more than a log
        # line) nor `add_expectation_configuration` (replaces an earlier rule of the same type and column).
        rule = ExpectationConfiguration(type=e.type, kwargs=kwargs, meta={_ORDER: order})
        built.add_expectation(rule.to_domain_obj())
    return built
