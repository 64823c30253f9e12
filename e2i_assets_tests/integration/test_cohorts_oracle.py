"""Random criteria on random frames with nulls: every engine against a slow reader of rows."""

import datetime as dt
import math
from decimal import Decimal

import adbc_driver_postgresql.dbapi as adbc
import ibis
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from e2i_assets.cohorts import CohortConfig, CohortConstructor, Criterion, EventCriterion, GroupCriterion

BASE = dt.date(2022, 1, 1)
DAYS = st.integers(0, 20).map(lambda n: BASE + dt.timedelta(days=n))
MOMENTS = st.integers(0, 500).map(lambda n: dt.datetime(2022, 1, 1) + dt.timedelta(hours=n))
WORDS = st.sampled_from(["", "a", "ab", "b.", "a.b", "a%b", "_", "Ärzt", "A"])
SMALL = st.integers(-3, 3)
VAST = st.sampled_from([2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1])
REAL = st.sampled_from([-1.5, 0.0, -0.0, 0.1, 1.0, 2.5, math.inf])
FINITE = REAL.filter(math.isfinite) | SMALL
MONEY = st.sampled_from(["-1.50", "0.00", "0.10", "2.50"]).map(Decimal)
# Column to its type, what its rows hold, and what a criterion may ask of it.
COLUMNS = {
    "flag": (pl.Boolean, st.booleans(), st.booleans()),
    "whole": (pl.Int64, SMALL, SMALL | st.just(1.5)),
    "vast": (pl.Int64, VAST, VAST | VAST.map(float)),
    "tiny": (pl.Int8, SMALL, SMALL | st.just(300)),
    "narrow": (pl.UInt8, st.integers(0, 3), SMALL | st.just(300)),
    "real": (pl.Float64, REAL | st.just(math.nan), FINITE),
    "single": (pl.Float32, REAL | st.just(math.nan), FINITE),
    "money": (pl.Decimal(10, 2), MONEY, FINITE),
    "word": (pl.String, WORDS, WORDS),
    "label": (pl.Categorical, WORDS, WORDS | st.just("z")),
    "day": (pl.Date, DAYS, DAYS.map(dt.date.isoformat)),
    "moment": (pl.Datetime("us"), MOMENTS, DAYS.map(dt.date.isoformat)),
}
EVENT_COLUMNS = {
    "kind": (pl.String, st.sampled_from(["a", "b"]), st.sampled_from(["a", "b"])),
    "amount": (pl.Float64, REAL | st.just(math.nan), FINITE),
}
SIMPLE = {
    "flag": ["==", "!="],
    "word": ["==", "!=", "contains"],
    "label": ["==", "!=", "contains"],
    "kind": ["=="],
}
ORDERED = ["==", "!=", ">", ">=", "<", "<=", "between"]
KEY = "patient_journey_id"
WINDOW = ("diagnosis_date", "first_observation_date", "last_observation_date")


@st.composite
def criteria(draw, columns=COLUMNS):
    field = draw(st.sampled_from(sorted(columns)))
    operator = draw(st.sampled_from([*SIMPLE.get(field, ORDERED), "in", "not_in"]))
    values = columns[field][2]
    if operator in ("in", "not_in"):
        value = draw(st.lists(values, min_size=1, max_size=draw(st.sampled_from([4, 12]))))
    elif operator == "between":
        value = sorted(draw(st.tuples(values, values)))
    else:
        value = draw(values.filter(lambda v: v != "") if operator == "contains" else values)
    return Criterion(field=field, operator=operator, value=value)


@st.composite
def event_criteria(draw):
    window = sorted(draw(st.tuples(st.integers(-12, 12), st.integers(-12, 12))))
    return EventCriterion(
        name="events",
        where=draw(st.lists(criteria(EVENT_COLUMNS), min_size=1, max_size=2)),
        within_days=[draw(st.sampled_from([day, None])) for day in window],
        at_least=(low := draw(st.integers(0, 3))),
        at_most=draw(st.integers(low, 4) if low == 0 else st.none() | st.integers(low, 4)),
        distinct=draw(st.sampled_from([None, "event_date", "event_subtype"])),
        observed=draw(st.booleans()),
        dated_by=draw(st.sampled_from(["start", "end"])),
        days_from=draw(st.sampled_from([None, None, "last_observation_date"])),
    )


def groups(parts):
    """Some criteria of which between so many and so many are met."""
    several = st.lists(parts, min_size=1, max_size=3)
    return (
        st.tuples(several, st.integers(0, 3), st.none() | st.integers(0, 3))
        .filter(_can_be_met)
        .map(lambda drawn: GroupCriterion(name="group", of=drawn[0], at_least=drawn[1], at_most=drawn[2]))
    )


def _can_be_met(drawn):
    of, low, high = drawn
    return low <= len(of) and (low > 0 or high is not None) and (high is None or low <= high)


ANY_KIND = criteria() | st.deferred(event_criteria)
ANY_KIND = ANY_KIND | groups(ANY_KIND | groups(ANY_KIND))


@st.composite
def frames(draw):
    """Journeys and their events; some events belong to nobody, or to a journey that is not there, some are
    reversals, and some are delivered twice.
    """
    rows, happened = draw(st.integers(0, 12)), draw(st.integers(0, 20))

    def column(dtype, values, length=rows):
        drawn = draw(st.lists(st.none() | values, min_size=length, max_size=length))
        return pl.Series(drawn, dtype=dtype, strict=False)

    data = {name: column(dtype, values) for name, (dtype, values, _) in COLUMNS.items()}
    dates = {name: column(pl.Date, DAYS) for name in WINDOW}
    keys = draw(st.permutations([f"j{i:02d}" for i in range(rows)]))
    journeys = pl.DataFrame({KEY: pl.Series(keys, dtype=pl.String), **data, **dates})
    events = {
        "treatment_event_id": pl.Series([f"e{i}" for i in range(happened)], dtype=pl.String),
        "cost": column(pl.Float64, st.sampled_from([-1.0, 0.0, 5.0, 7.0]), happened),
        KEY: column(pl.String, st.sampled_from([f"j{i:02d}" for i in range(14)]), happened),
        "event_date": column(pl.Date, DAYS, happened),
        "event_subtype": column(pl.String, st.sampled_from(["a", "b", "c"]), happened),
        "duration_days": column(pl.Int64, st.integers(0, 6), happened),
        **{name: column(dtype, values, happened) for name, (dtype, values, _) in EVENT_COLUMNS.items()},
    }
    again = draw(st.lists(st.integers(0, happened - 1), max_size=3)) if happened else []
    return journeys, pl.DataFrame(events)[[*range(happened), *again]]


def unknown(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def met(criterion, value):
    target = criterion.value
    if isinstance(value, dt.datetime):
        value = value.date()
    if isinstance(value, dt.date):
        value = value.isoformat()
    if isinstance(value, Decimal):
        value = float(value)
    comparisons = {
        "==": lambda: value == target, "!=": lambda: value != target, ">": lambda: value > target,
        ">=": lambda: value >= target, "<": lambda: value < target, "<=": lambda: value <= target,
        "in": lambda: value in target, "not_in": lambda: value not in target,
        "between": lambda: target[0] <= value <= target[1], "contains": lambda: target in value,
    }  # fmt: skip
    return comparisons[criterion.operator]()


def three_valued(criterion, value):
    return None if unknown(value) else met(criterion, value)


def answer(criterion, row, events):
    """True, False, or None where nobody can tell."""
    if isinstance(criterion, Criterion):
        return three_valued(criterion, row[criterion.field])
    if isinstance(criterion, GroupCriterion):
        answers = [answer(part, row, events) for part in criterion.of]
        return between(answers.count(True), len(answers) - answers.count(False), *criterion.bounds)
    index = row[criterion.days_from or "diagnosis_date"]
    if index is None:
        return None
    certain, possible = [], []
    for event in {event["treatment_event_id"]: event for event in events}.values():
        if event[KEY] != row[KEY] or (event["cost"] is not None and event["cost"] < 0):
            continue
        answers = [three_valued(c, event[c.field]) for c in criterion.where]
        answers += placed(criterion, row, event, index)
        counted = event[criterion.distinct or "treatment_event_id"]
        certain += [counted] * all(answers)
        possible += [counted] * (False not in answers)
    low, high = criterion.at_least, criterion.at_most
    if criterion.distinct is None:
        return between(len(certain), len(possible), low, high)
    most = len(set(possible) - {None}) + possible.count(None)
    return between(len(set(certain) - {None}), most, low, high)


def placed(criterion, row, event, index):
    """Whether an event lies in the window, and under observation where that is asked."""
    begun = ended = event["event_date"]
    if criterion.dated_by == "end":
        known = begun is not None and event["duration_days"] is not None
        ended = begun + dt.timedelta(days=event["duration_days"]) if known else None
    first, last = criterion.within_days
    if first is not None:
        yield not_after(index + dt.timedelta(days=first), ended)
    if last is not None:
        yield not_after(ended, index + dt.timedelta(days=last))
    if criterion.observed:
        yield not_after(row["first_observation_date"], begun)
        yield not_after(begun, row["last_observation_date"])
        if last is None:
            yield not_after(ended, row["last_observation_date"])


def not_after(first, second):
    return None if first is None or second is None else first <= second


def between(fewest, most, low, high):
    """Whether a number that is not fully known lies between bounds."""
    high = math.inf if high is None else high
    if low <= fewest and most <= high:
        return True
    return None if most >= low and fewest <= high else False


def window(row, start, end, days):
    a, b = row[start], row[end]
    missing = a is None or b is None
    return missing or (b - a).days < days, missing


def rules(config, events):
    """Each rule as row to (failed, unknown)."""
    temporal = config.temporal_requirements
    return [
        *(lambda r, c=c: (answer(c, r, events) is not True, answer(c, r, events) is None)
          for c in config.inclusion_criteria),
        *(lambda r, c=c: (answer(c, r, events) is True, answer(c, r, events) is None)
          for c in config.exclusion_criteria),
        lambda r: (r["diagnosis_date"] is None,) * 2,
        lambda r: window(r, "first_observation_date", "diagnosis_date", temporal.lookback_days),
        lambda r: window(r, "diagnosis_date", "last_observation_date", temporal.followup_days),
    ]  # fmt: skip


def steps(verdicts, order):
    """Keys of members, and (removed, unknown, remaining) of each step, one row at a time."""
    left, result = list(verdicts), []
    for i in order:
        remaining = [key for key in left if not verdicts[key][i][0]]
        result.append((len(left) - len(remaining), sum(verdicts[key][i][1] for key in left), len(remaining)))
        left = remaining
    return left, result


def sole(verdicts, i):
    return sum([j for j, (failed, _) in enumerate(rule) if failed] == [i] for rule in verdicts.values())


@pytest.fixture(scope="module")
def postgres(server):
    """Where a random frame becomes a table of the warehouse's own server."""
    url = make_url(server)
    engine = ibis.postgres.connect(
        host=url.query.get("host") or url.host, port=url.port, user=url.username, database=url.database
    )
    with adbc.connect(server) as connection:
        yield engine, connection
    engine.disconnect()


def in_postgres(postgres, name, frame):
    engine, connection = postgres
    plain = frame.cast({pl.Categorical: pl.String, pl.UInt8: pl.Int16, pl.Int8: pl.Int16})
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
        cursor.adbc_ingest(name, plain.to_arrow(), mode="create")
        if "label" in frame.columns:
            cursor.execute("DROP TYPE IF EXISTS labels")
            cursor.execute("CREATE TYPE labels AS ENUM ('a', 'ab', 'b.', 'a.b', 'a%b', '_', 'Ärzt', 'A', '')")
            cursor.execute(f"ALTER TABLE {name} ALTER COLUMN label TYPE labels USING label::labels")
    connection.commit()
    return engine.table(name)


def in_duckdb(engine, path, frame):
    frame.write_parquet(path)
    return engine.read_parquet(path, can_have_nan=True)


def every_way(journeys, events, folder, postgres):
    yield journeys, events
    yield journeys.lazy(), events.lazy()
    # Beside nulls, pandas makes floating point of whole numbers, which beyond 2**53 are others then.
    frame = journeys.to_pandas().assign(vast=pd.array(journeys["vast"].to_list(), dtype="Int64"))
    yield frame, events.to_pandas()
    yield frame.convert_dtypes(), events.to_arrow()
    yield journeys.to_pandas(use_pyarrow_extension_array=True), events
    yield journeys.to_arrow(), events.to_pandas(use_pyarrow_extension_array=True)
    yield in_postgres(postgres, "journeys", journeys), in_postgres(postgres, "events", events)
    engine = ibis.duckdb.connect()
    yield (
        in_duckdb(engine, folder / "journeys.parquet", journeys),
        in_duckdb(engine, folder / "events.parquet", events),
    )
    yield folder / "journeys.parquet", folder / "events.parquet"


def keys_of(members):
    if isinstance(members, ibis.Table):  # without an order
        return set(members.to_polars()[KEY])
    members = members.collect() if isinstance(members, pl.LazyFrame) else members
    return pl.Series(members[KEY]).to_list()


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # pandas, of infinity
@given(
    tables=frames(),
    inclusion=st.lists(ANY_KIND, max_size=3),
    exclusion=st.lists(ANY_KIND, max_size=3),
    windows=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    data=st.data(),
)
@settings(  # shrinking with eight engines takes minutes
    max_examples=15, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_every_engine_agrees_with_the_row_by_row_oracle(
    tables, inclusion, exclusion, windows, data, tmp_path_factory, postgres
):
    config = CohortConfig(
        cohort_name="Random", brand="Random", indication="x",
        inclusion_criteria=inclusion, exclusion_criteria=exclusion,
        temporal_requirements={"lookback_days": windows[0], "followup_days": windows[1]},
    )  # fmt: skip
    journeys, events = tables
    checked = rules(config, events.to_dicts())
    verdicts = {row[KEY]: [rule(row) for rule in checked] for row in journeys.to_dicts()}
    expected, attrition = steps(verdicts, range(len(checked)))
    order = data.draw(st.permutations(range(len(checked))))
    results = []
    for given_journeys, given_events in every_way(
        journeys, events, tmp_path_factory.mktemp("random"), postgres
    ):
        members, result = CohortConstructor(config).construct_cohort(given_journeys, given_events)
        actual = keys_of(members)
        assert actual == (set(expected) if isinstance(actual, set) else expected)
        if isinstance(given_journeys, pd.DataFrame):
            assert members.dtypes.equals(given_journeys.dtypes)
        results.append(result)
    assert all(result == results[0] for result in results)
    result = results[0]
    actual = [(e.removed_count, e.null_count, e.remaining_count) for e in result.eligibility_log]
    assert actual == attrition
    again = [
        (e.removed_count, e.null_count, e.remaining_count) for e in result.in_order([i + 1 for i in order])
    ]
    assert again == steps(verdicts, order)[1]
    for i, entry in enumerate(result.eligibility_log):
        assert entry.sole_removed_count == sole(verdicts, i)
        without = [j for j in range(len(checked)) if j != i]
        assert result.eligible_without([i + 1]) == len(steps(verdicts, without)[0])
    assert sum(rows for _, _, rows in result.failing_together()) == journeys.height
