import json
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
import pandera.pandas as pa
import polars as pl
import pytest

from e2i_assets.quality import LeakageError, LeakageReport, audit_leakage
from e2i_assets.quality.leakage.strength import auc

N = 1200


@dataclass(frozen=True)
class Known:
    role: str = "feature"
    available_at: str = "index"


def frame(seed=3, n=N):
    """A clean table: an outcome of 35 %, one strong predictor (AUC about 0.9), noise, an id, an index date."""
    rng = np.random.default_rng(seed)
    severity = rng.normal(size=n)
    started = rng.random(n) < 1 / (1 + np.exp(-(3.2 * severity - 1.0)))
    return pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(n)],
            "index_date": pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
            "severity": severity,
            "age": rng.integers(18, 90, n).astype(float),
            "region": rng.choice(["n", "s", "e", "w"], n),
            "smoker": rng.random(n) < 0.3,
            "ige": np.where(rng.random(n) < 0.3, np.nan, rng.lognormal(size=n)),
            "started": started.astype(int),
        }
    )


@pytest.fixture(scope="module")
def clean():
    return frame()


def audit(train, **kwargs):
    kwargs = {"id_column": "patient_id", "event_times": "index_date"} | kwargs
    report = audit_leakage(train, "started", **kwargs)
    assert report.ok == (not report.findings)
    return report


def leaks(train, **kwargs):
    return {(f.kind, f.column) for f in audit(train, **kwargs).findings}


def rng():
    return np.random.default_rng(11)


def test_a_clean_table_raises_no_alarm(clean):
    report = audit(clean)
    assert report.findings == ()
    assert report.examined == {"availability": 0, "temporal": 0, "target": 5, "contamination": 0}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [60, 300, 3000])
def test_no_alarm_on_clean_tables_of_any_size(seed, n):
    assert leaks(frame(seed, n)) == set()


def test_a_strong_predictor_is_no_leak(clean):
    y = clean["started"].to_numpy()
    assert 0.88 < auc(clean["severity"].to_numpy(), y, np.ones(N)) < 0.95
    assert leaks(clean) == set()


@pytest.mark.parametrize("levels", [N, N // 2, N // 5])
def test_many_valued_ids_raise_no_alarm(clean, levels):
    ids = [f"id{i}" for i in rng().integers(0, levels, N)]
    numbers = rng().integers(0, levels, N)
    assert leaks(clean.assign(patient_journey_id=ids, account=numbers)) == set()


def test_what_is_constant_within_a_patient_is_not_learned_by_heart(clean):
    patients = rng().integers(0, N // 4, N)
    outcome = (rng().random(N // 4) < 0.4).astype(int)[patients]
    repeated = clean.assign(
        patient_id=[f"p{i}" for i in patients], card=[f"c{i}" for i in patients], started=outcome
    )
    assert ("target", "card") not in leaks(repeated)
    assert ("target", "card") in leaks(repeated, id_column=None)


def test_the_end_of_a_scale_is_no_leak_though_every_case_there_is_one(clean):
    """Of a graded finding (1 to 10) the last grades are pure; a value that breaks with its neighbours is a leak."""
    grade = np.clip(np.round(4 + 2.2 * clean["severity"]), 1, 10)
    graded = clean.assign(grade=grade.where(clean["started"] == 1, grade.clip(upper=6)))
    assert (graded["grade"] >= 8).sum() > 60
    assert graded.loc[graded["grade"] >= 8, "started"].eq(1).all()
    assert leaks(graded) == set()
    code = np.where((clean["started"] == 1) & (rng().random(N) < 0.4), 5, rng().integers(1, 10, N))
    assert leaks(clean.assign(code=np.where((clean["started"] == 0) & (code == 5), 6, code))) == {
        ("target", "code")
    }


def test_a_trait_of_one_class_of_several_is_no_leak(clean):
    """An island may have one species only."""
    species = rng().choice(list("abc"), N)
    island = np.where(species == "a", rng().choice(["x", "y"], N), rng().choice(["y", "z"], N))
    assert leaks(clean.assign(started=species, island=island)) == set()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda y: y + rng().normal(0, 0.05, N), "correlation"),
        (lambda y: -100.0 * y, "correlation"),
        (lambda y: y.astype(bool), "correlation"),
        (lambda y: np.where(y == 1, "yes", "no"), "cross-validated"),
        (lambda y: np.where(y == 1, rng().choice(list("abc"), N), rng().choice(list("def"), N)), "cross-validated"),
        (lambda y: np.where(y == 1, rng().uniform(1, 2, N), rng().choice([0.5, 2.5], N)), "cross-validated"),
        (lambda y: np.where(y == 1, rng().integers(1, 90, N).astype(float), np.nan), "is there"),
        (lambda y: np.where(y == 1, "2023-05-01", None), "is there"),
        (lambda y: [str(v) for v in y], "correlation"),
        (lambda y: np.where(rng().random(N) < 0.96, y, 1 - y), "all unsuspicious columns"),
        (lambda y: np.where((y == 1) & (rng().random(N) < 0.4), 1.0, np.nan), "any value at all"),
        (lambda y: np.where((y == 1) & (rng().random(N) < 0.3), "code 9", rng().choice(list("ab"), N)), "one of its"),
    ],
    ids=["noisy", "scaled", "boolean", "labels", "categories", "not monotone", "presence", "date present",
         "text numbers", "4 % wrong", "partial presence", "deciding level"],
)  # fmt: skip
def test_what_tells_the_outcome_is_found(clean, make, said):
    report = audit(
        clean.assign(leak=make(clean["started"].to_numpy())), event_times=None, id_column="patient_id"
    )
    (finding,) = [f for f in report.findings if f.kind == "target"]
    assert finding.column == "leak"
    assert said in finding.evidence
    assert finding.statistic >= finding.threshold > 0.9


@pytest.mark.parametrize("values", [["no", "yes"], [False, True], ["0", "1"], [10, 20]])
def test_the_target_may_be_of_any_type(clean, values):
    target = np.where(clean["started"] == 1, values[1], values[0])
    leaky = clean.assign(started=target, leak=clean["started"].map({0: "a", 1: "b"}))
    assert leaks(leaky) == {("target", "leak")}
    assert leaks(clean.assign(started=target)) == set()


def test_a_regression_target(clean):
    spend = clean["severity"] * 2 + rng().normal(size=N)
    table = clean.assign(started=spend)
    assert leaks(table) == set()
    assert leaks(table.assign(leak=spend**3)) == {("target", "leak")}
    assert leaks(table.assign(leak=(spend - spend.mean()).abs())) == set()


def test_several_classes(clean):
    classes = pd.cut(clean["severity"] + rng().normal(0, 0.8, N), 3, labels=["low", "mid", "high"]).astype(
        str
    )
    table = clean.assign(started=classes)
    assert leaks(table) == set()
    assert leaks(table.assign(leak=classes.str.upper())) == {("target", "leak")}


def test_the_contract_is_asked_whatever_the_data_say(clean):
    table = clean.assign(
        visits=rng().integers(0, 9, N), stage=rng().choice(["a", "b"], N), late=rng().random(N)
    )
    contract = {
        "visits": Known("post_outcome"),
        "stage": Known("outcome"),
        "late": Known("feature", "outcome"),
        "age": Known(),
        "started": Known("outcome", "outcome"),
    }
    report = audit(table, contract=contract)
    assert {(f.kind, f.column) for f in report.findings} == {
        ("temporal", "visits"), ("temporal", "stage"), ("temporal", "late"),
    }  # fmt: skip
    assert report.examined["availability"] == 4


def test_a_value_known_from_a_date_on(clean):
    contract = {"age": Known("feature", "recorded")}
    before = clean.assign(recorded=clean["index_date"] - pd.Timedelta(days=1))
    assert leaks(before, contract=contract) == set()
    after = clean.assign(recorded=clean["index_date"] + pd.Timedelta(days=1))
    assert leaks(after, contract=contract) == {("temporal", "age"), ("temporal", "recorded")}
    assert leaks(clean, contract=contract) == {("temporal", "age")}


@pytest.mark.parametrize(
    "form",
    [
        lambda d: d,
        lambda d: d.dt.tz_localize("UTC"),
        lambda d: d.dt.tz_localize("America/New_York"),
        lambda d: d.dt.strftime("%Y-%m-%d"),
        lambda d: d.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        lambda d: d.dt.strftime("%m/%d/%Y"),
        lambda d: d.dt.date,
        lambda d: d.dt.strftime("%d.%m.%Y"),
        lambda d: d.dt.strftime("%d %B %Y"),
        lambda d: d.dt.strftime("%b %d, %Y"),
        lambda d: d.dt.strftime("%Y%m%d"),
        lambda d: d.dt.strftime("%Y%m%d").astype(int),
        lambda d: d.dt.strftime("%Y/%m/%d %H:%M"),
        lambda d: d.dt.strftime("%Y-%m-%dT12:30:00-05:00"),
        lambda d: (d - pd.Timestamp(0)).dt.total_seconds().astype(int),
        lambda d: d.dt.strftime("%d-%b-%y").str.upper(),
        lambda d: d.dt.strftime("%d.%m.%y"),
        lambda d: d.dt.strftime("%Y%m%d%H%M%S"),
        lambda d: (d - pd.Timestamp(0)).dt.total_seconds().astype(int).astype(str),
        lambda d: "called on " + d.dt.strftime("%Y-%m-%d") + ", no answer",
        lambda d: "['2019-01-01', '" + d.dt.strftime("%Y-%m-%d") + "']",
    ],
    ids=[
        "timestamp",
        "UTC",
        "New York",
        "ISO",
        "ISO Z",
        "US",
        "date objects",
        "German",
        "in words",
        "US words",
        "compact",
        "compact number",
        "slashes",
        "ISO offset",
        "epoch",
        "Oracle",
        "German, short",
        "compact with time",
        "epoch as text",
        "in a note",
        "in a list",
    ],
)
def test_dates_after_the_index_date_are_found_in_any_form(clean, form):
    same_day = form(clean["index_date"])
    report = audit(clean.assign(seen=same_day))
    assert report.findings == ()
    assert report.examined["temporal"] == 1
    one_late = clean["index_date"].where(clean.index != 5, clean["index_date"] + pd.Timedelta(days=2))
    (finding,) = audit(clean.assign(seen=form(one_late))).findings
    assert (finding.kind, finding.column) == ("temporal", "seen")
    assert finding.statistic == pytest.approx(1 / N)


@pytest.mark.parametrize(
    "form",
    [
        lambda d: d.dt.strftime("%b %Y"),
        lambda d: d.dt.strftime("%m/%Y"),
        lambda d: d.dt.strftime("%Y-%m"),
        lambda d: d.dt.year,
        lambda d: (d - pd.Timestamp(0)).dt.total_seconds().astype(int) * 1000,
    ],
    ids=["month in words", "month", "ISO month", "year", "milliseconds"],
)
def test_months_years_and_long_numbers_are_dates(clean, form):
    table = clean.assign(last_year=form(clean["index_date"] - pd.Timedelta(days=400)))
    assert leaks(table) == set()
    assert audit(table).examined["temporal"] == 1
    later = clean.assign(last_year=form(clean["index_date"] + pd.Timedelta(days=400)))
    assert leaks(later) == {("temporal", "last_year")}


def test_later_on_the_index_day_is_not_after_it(clean):
    assert leaks(clean.assign(seen=clean["index_date"] + pd.Timedelta(hours=9))) == set()


@pytest.mark.parametrize("form", [str, lambda d: d, pd.Timestamp.isoformat], ids=["text", "typed", "ISO"])
def test_zones_are_compared_as_instants(clean, form):
    """23:30 in New York is on the next day in UTC, and 05:00 in Tokyo on the day before."""
    index = pd.Series(pd.Timestamp("2023-05-01T22:00", tz="UTC"), index=clean.index)
    late = pd.Timestamp("2023-05-01T19:00", tz="America/New_York")
    early = pd.Timestamp("2023-05-02T05:00", tz="Asia/Tokyo")
    table = clean.assign(index_date=index)
    assert leaks(table.assign(seen=[form(early)] * N)) == set()
    assert leaks(table.assign(seen=[form(late)] * N)) == {("temporal", "seen")}


def test_a_date_that_cannot_be_read_is_not_taken_for_an_early_one(clean):
    seen = clean["index_date"].dt.strftime("%Y-%m-%d").where(clean.index > 0, "2023-02-31")
    (finding,) = audit(clean.assign(seen=seen)).findings
    assert (finding.kind, finding.column) == ("temporal", "seen")
    assert "cannot be read" in finding.evidence
    assert leaks(clean.assign(seen=seen.where(clean.index > 0, "unknown"))) == set()


def test_a_value_known_from_nobody_knows_when_is_not_known_in_time(clean):
    contract = {"age": Known("feature", "recorded")}
    recorded = (clean["index_date"] - pd.Timedelta(days=1)).where(clean.index > 3)
    assert leaks(clean.assign(recorded=recorded), contract=contract) == {("temporal", "age")}
    assert leaks(clean.assign(recorded=pd.NaT), contract=contract) == {("temporal", "age")}


def splits(table):
    return table.iloc[:800].reset_index(drop=True), {
        "validation": table.iloc[800:1000].reset_index(drop=True),
        "test": table.iloc[1000:].reset_index(drop=True),
    }


def test_clean_splits(clean):
    train, others = splits(clean)
    report = audit(train, other_splits=others)
    assert report.ok
    assert report.examined["contamination"] == 3


def test_a_patient_in_two_splits_is_found_between_any_two(clean):
    train, others = splits(clean)
    others["test"].loc[:3, "patient_id"] = others["validation"].loc[:3, "patient_id"]
    (finding,) = audit(train, other_splits=others).findings
    assert (finding.kind, finding.column, finding.statistic) == ("contamination", "validation and test", 4)


def test_ids_are_compared_as_text(clean):
    table = clean.assign(patient_id=range(N))
    train, others = splits(table)
    others["test"]["patient_id"] = others["test"]["patient_id"].astype(float)
    others["test"].loc[0, "patient_id"] = 5.0
    others["validation"]["patient_id"] = others["validation"]["patient_id"].astype(str)
    others["validation"].loc[:1, "patient_id"] = ["7", "8.0"]
    assert leaks(train, other_splits=others) == {
        ("contamination", "train and test"),
        ("contamination", "train and validation"),
    }


def test_the_same_row_under_another_id_is_found(clean):
    train, others = splits(clean)
    columns = [c for c in train if c != "patient_id"]
    others["test"].loc[:2, columns] = train.loc[:2, columns].to_numpy()
    others["test"] = others["test"].astype(train.dtypes.to_dict())
    (finding,) = audit(train, other_splits=others).findings
    assert (finding.column, finding.statistic) == ("train and test", 3)
    without_ids = audit(train.drop(columns="patient_id"), id_column=None, other_splits={
        "test": others["test"].drop(columns="patient_id")})  # fmt: skip
    assert [f.statistic for f in without_ids.findings] == [3]


def test_rows_of_a_few_yes_no_columns_coincide_without_being_copies(clean):
    train, others = splits(clean[["patient_id", "index_date", "region", "smoker", "started"]].assign(
        index_date=pd.Timestamp("2023-01-01")))  # fmt: skip
    assert leaks(train, other_splits=others) == set()


@pytest.mark.parametrize(
    ("spoil", "kwargs", "said"),
    [
        (lambda t: t.iloc[:0], {}, "empty"),
        (lambda t: t.drop(columns="started"), {}, "started"),
        (lambda t: t.assign(started=1), {}, "one class"),
        (lambda t: t.assign(started=np.nan), {}, "started"),
        (lambda t: t.iloc[:1], {}, "1 rows"),
        (lambda t: t.assign(started=(np.arange(N) < 3).astype(int)), {}, "fewer than 5"),
        (lambda t: t.assign(started=np.where(np.arange(N) < 3, np.inf, np.arange(N))), {}, "infinite"),
        (lambda t: t[["patient_id", "index_date", "started"]], {}, "no feature"),
        (lambda t: t.drop(columns="patient_id"), {}, "patient_id"),
        (lambda t: t.assign(patient_id=t["patient_id"].where(t.index != 3)), {}, "1 of 1200"),
        (lambda t: t.drop(columns="index_date"), {}, "index_date"),
        (lambda t: t.assign(index_date=t["index_date"].where(t.index != 3)), {}, "1 of 1200"),
        (lambda t: t.assign(index_date="soon"), {}, "1200 of 1200"),
        (lambda t: t.assign(index_date=5), {}, "1200 of 1200"),
        (lambda t: t.assign(index_date=pd.NaT), {}, "1200 of 1200"),
        (lambda t: t, {"other_splits": {"test": pd.DataFrame({"age": [1.0]})}}, "patient_id"),
        (lambda t: pd.concat([t, t[["age"]]], axis=1), {}, "same name"),
        (
            lambda t: t.assign(**dict.fromkeys(("severity", "age", "region", "smoker", "ige"))),
            {},
            "no feature has",
        ),
        (lambda t: t, {"other_splits": {"test": frame().iloc[:0]}}, "split test is empty"),
    ],
)
def test_what_cannot_be_audited_is_an_error_and_no_pass(clean, spoil, kwargs, said):
    with pytest.raises(LeakageError) as refused:
        audit(spoil(clean), **kwargs)
    assert said in str(refused.value)


def test_the_report_is_the_same_every_time_and_survives_json(clean):
    leaky = clean.assign(leak=clean["started"], seen=clean["index_date"] + pd.Timedelta(days=3))
    report = audit(leaky)
    assert audit(leaky.copy()) == report
    assert LeakageReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert not report.to_dict()["ok"]
    assert "| target | leak |" in report.to_markdown()
    assert "no leakage found" in audit(clean).to_markdown()


def test_no_value_is_in_the_report(clean):
    leaky = clean.assign(leak=np.where(clean["started"] == 1, "Jane Doe", "John Doe"))
    assert "Doe" not in json.dumps(audit(leaky).to_dict())


def test_frames_are_left_alone(clean):
    before = clean.copy(deep=True)
    audit(clean)
    pd.testing.assert_frame_equal(clean, before)


def test_an_all_null_or_constant_feature_says_nothing(clean):
    assert leaks(clean.assign(nothing=np.nan, none=None, one=1.0, infinite=np.inf, text="x")) == set()


def wide(n=900, seed=5):
    """A table of which every row is unmistakable, without ids."""
    draw = np.random.default_rng(seed)
    table = pd.DataFrame(draw.normal(size=(n, 8)), columns=[f"lab_{c}" for c in "abcdefgh"])
    return table.assign(
        age=draw.integers(18, 90, n),
        region=draw.choice(["North", "South"], n),
        started=draw.integers(0, 2, n),
    )


def halves(table):
    return table.iloc[:600].reset_index(drop=True), table.iloc[600:].reset_index(drop=True)


@pytest.mark.parametrize(
    "alter",
    [
        lambda rows: rows.assign(lab_a=rows["lab_a"].round(3), lab_b=rows["lab_b"].round(3)),
        lambda rows: rows.assign(lab_a=0.0, region="North"),
        lambda rows: rows.assign(
            **{c: rows[c] + rng().normal(0, 0.002, len(rows)) for c in rows if "lab" in c}
        ),
        lambda rows: rows.assign(started=1 - rows["started"]),
        lambda rows: rows.assign(lab_a=np.nan),
    ],
    ids=["rounded", "one column new", "jittered", "other outcome", "one value lost"],
)
def test_a_row_that_is_nearly_another_split_s_is_found(alter):
    train, test = halves(wide())
    copies = alter(train.iloc[100:112])
    test = pd.concat([test.iloc[12:], copies]).sample(frac=1, random_state=1)
    (finding,) = audit_leakage(train, "started", other_splits={"test": test}).findings
    assert (finding.kind, finding.column) == ("contamination", "train and test")
    assert 10 <= finding.statistic <= 12
    assert "nearly" in finding.evidence


@pytest.mark.parametrize(
    "alter",
    [
        lambda rows: rows.assign(region=" " + rows["region"].str.upper(), lab_c=rows["lab_c"].astype(str)),
        lambda rows: rows.astype({"lab_a": "float32", "lab_b": "float32"}),
    ],
    ids=["spelling", "precision"],
)
def test_the_same_row_written_otherwise_is_the_same_row(alter):
    train, test = halves(wide())
    table = pd.concat([test, alter(train.iloc[100:112])])
    (finding,) = audit_leakage(train, "started", other_splits={"test": table}).findings
    assert finding.statistic == 12
    assert "value for value" in finding.evidence


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_are_only_alike_are_no_copies(seed):
    train, test = halves(wide(seed=seed))
    assert audit_leakage(train, "started", other_splits={"test": test}).ok
    correlated = [t.assign(**{c: t["lab_a"] + 0.05 * t[c] for c in t if "lab" in c}) for t in (train, test)]
    assert audit_leakage(correlated[0], "started", other_splits={"test": correlated[1]}).ok


def test_where_rows_are_alike_by_nature_likeness_is_no_copy():
    """Legislators of one district share everything but their own answer."""
    table = wide().loc[lambda t: t.index.repeat(3)].sample(frac=1, random_state=3).reset_index(drop=True)
    table["started"] = rng().integers(0, 2, len(table))
    table["income"] = rng().normal(size=len(table))
    train, test = table.iloc[:1800], table.iloc[1800:]
    assert audit_leakage(train, "started", other_splits={"test": test}).ok


def test_the_same_hcp_patient_pair_and_the_same_patient_of_another_journey():
    table = wide().assign(journey_id=[f"j{i}" for i in range(900)], hcp_id=[f"h{i % 41}" for i in range(900)])
    table["patient_id"] = range(900)
    train, test = halves(table)
    assert audit_leakage(train, "started", id_column="journey_id", other_splits={"test": test}).ok
    test.loc[:3, ["patient_id", "hcp_id"]] = train.loc[:3, ["patient_id", "hcp_id"]].to_numpy()
    test.loc[4, "patient_id"] = train.loc[4, "patient_id"]
    found = audit_leakage(train, "started", id_column="journey_id", other_splits={"test": test}).findings
    assert {(f.statistic, f.evidence.split(" that")[0]) for f in found} == {
        (5, "values of patient_id"),
        (4, "pairs of hcp_id and patient_id (HCP and patient)"),
    }


@pytest.mark.parametrize(
    "contract",
    [
        {"age": {"role": "post_outcome", "available_at": "outcome"}},
        {"age": {"available_at": "outcome"}},
        {"age": {"role": "outcome"}},
        {"age": Known("post_outcome", "outcome")},
        {"age": "post_outcome"},
        {"age": "outcome"},
        ["age"],
        ("age", "no column of the table"),
        pa.DataFrameSchema({"age": pa.Column(metadata={"role": "post_outcome", "available_at": "outcome"})}),
    ],
)
def test_a_contract_in_any_form(clean, contract):
    assert leaks(clean, contract=contract) == {("temporal", "age")}


def test_a_table_contract_is_a_contract(clean):
    from e2i_assets.contracts.tables import TABLES

    journeys = TABLES["patient_journeys"]
    table = clean.assign(days_to_treatment=rng().integers(1, 90, N))
    assert ("temporal", "days_to_treatment") in leaks(table, contract=journeys)


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        ({"age": {}}, "contract of age: neither"),
        ({"age": "late"}, "contract of age: 'late' is no role and no column"),
        ({"age": None}, "contract of age"),
        (
            {"age": {"role": "post-outcome"}},
            "contract of age: role 'post-outcome' is none of id, time, feature",
        ),
        ({"age": Known("leak")}, "contract of age: role 'leak'"),
        (pa.DataFrameSchema({"age": pa.Column()}), "no column of the schema has a role"),
        ("age", "a list of column names was expected"),
        (5, "the contract is a int"),
    ],
)
def test_a_contract_that_says_nothing_is_an_error(clean, contract, said):
    with pytest.raises(LeakageError, match=said) as refused:
        audit(clean, contract=contract)
    assert refused.value.code == "contract"


def test_a_value_known_from_a_date_on_in_short_form(clean):
    recorded = clean.assign(recorded=clean["index_date"] - pd.Timedelta(days=1))
    assert leaks(recorded, contract={"age": "recorded"}) == set()
    late = clean.assign(recorded=clean["index_date"] + pd.Timedelta(days=1))
    assert ("temporal", "age") in leaks(late, contract={"age": "recorded"})


@pytest.mark.parametrize(
    "spoil", [lambda t: t.assign(started=1), lambda t: t.head(20), lambda t: t.assign(age=None)]
)
def test_what_the_contract_says_is_found_whatever_the_target_is(clean, spoil):
    """One class only: the target tells nothing of the features, the contract does."""
    report = audit(spoil(clean), contract={"age": "post_outcome"})
    assert [(f.kind, f.column) for f in report.findings] == [("temporal", "age")]
    assert report.examined["availability"] == 1


def test_frames_of_other_libraries_and_names_that_are_no_text(clean):
    leaky = clean.assign(leak=clean["started"].map({0: "a", 1: "b"}))
    assert leaks(pl.from_pandas(leaky)) == {("target", "leak")}
    assert leaks(pl.from_pandas(leaky).to_arrow()) == {("target", "leak")}
    train, others = splits(clean)
    others["test"].loc[:3, "patient_id"] = others["validation"].loc[:3, "patient_id"]
    frames = {name: pl.from_pandas(frame) for name, frame in others.items()}
    assert leaks(pl.from_pandas(train), other_splits=frames) == {("contamination", "validation and test")}
    numbered = leaky[["severity", "leak", "started"]].set_axis([0, 1, "started"], axis="columns")
    assert {f.column for f in audit_leakage(numbered, "started").findings} == {"1"}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda t: t.iloc[:0], "empty_input"),
        (lambda t: t.drop(columns="started"), "missing_column"),
        (lambda t: t.iloc[:1], "too_few_rows"),
        (lambda t: t.assign(started=1), "one_class"),
        (lambda t: t.assign(started=np.nan), "too_few_rows"),
        (lambda t: t.assign(index_date=pd.NaT), "not_a_date"),
        (lambda t: t.assign(patient_id=None), "missing_value"),
        (lambda t: t[["patient_id", "index_date", "started"]], "nothing_to_judge"),
    ],
)
def test_an_audit_that_cannot_be_made_says_of_what_kind_and_what_to_do(clean, spoil, code):
    with pytest.raises(LeakageError) as refused:
        audit(spoil(clean))
    assert refused.value.code == code
    assert len(refused.value.next_step) > 10


def test_a_feature_without_values_is_named_as_not_judged(clean):
    report = audit(clean.assign(nothing=np.nan))
    assert report.unjudged == ("nothing",)
    assert report.examined["target"] == 5
    assert LeakageReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_where_one_side_tells_no_zone_hours_that_may_be_later_are(clean):
    index = pd.Series(pd.Timestamp("2023-05-01T12:00", tz="UTC"), index=clean.index)
    table = clean.assign(index_date=index)
    assert leaks(table.assign(seen=pd.Timestamp("2023-05-01T01:00"))) == {("temporal", "seen")}
    assert leaks(table.assign(seen=pd.Timestamp("2023-04-30T20:00"))) == set()


def quantities(n=N):
    draw = np.random.default_rng(8)
    return pd.DataFrame({c: draw.gamma(3.0, 10.0, n) for c in ("visits", "drugs", "tests", "travel", "age")})


def test_parts_that_add_up_to_the_target_are_found_together():
    table = quantities().assign(cost=lambda t: t["visits"] + t["drugs"] + 2 * t["tests"])
    findings = audit_leakage(table, "cost").findings
    assert {f.column for f in findings} == {"visits", "drugs", "tests"}
    assert all("sum or difference of visits, drugs, tests" in f.evidence for f in findings)
    noisy = table.assign(cost=table["cost"] + rng().normal(0, 5, N))
    assert audit_leakage(noisy, "cost").ok


def test_of_a_change_only_the_later_measurement_is_accused():
    table = quantities().rename(columns={"visits": "wt71", "drugs": "wt82"})
    assert {
        f.column for f in audit_leakage(table.assign(gain=table["wt82"] - table["wt71"]), "gain").findings
    } == {"wt82"}


def test_two_columns_whose_order_is_the_target_are_found():
    table = quantities().assign(improved=lambda t: (t["drugs"] > t["tests"]).astype(int))
    assert {f.column for f in audit_leakage(table, "improved").findings} == {"drugs", "tests"}
    wrong = rng().random(N) < 0.05
    noisy = table.assign(improved=table["improved"].where(~wrong, 1 - table["improved"]))
    assert audit_leakage(noisy, "improved").ok


def test_a_column_that_repeats_a_leak_is_one(clean):
    """The date of a death is there for the dead; whether it is there says no less."""
    y = clean["started"] == 1
    died = y & (rng().random(N) < 0.9) | (rng().random(N) < 0.02)
    table = clean.assign(died=died.astype(int), age_then=np.where(died, rng().integers(40, 90, N), np.nan))
    assert leaks(table) == {("target", "died"), ("target", "age_then")}


@pytest.mark.parametrize("levels", [3, 6])
def test_an_id_or_a_category_of_a_regression_says_nothing(clean, levels):
    table = clean.assign(started=rng().normal(size=N), site=rng().integers(0, levels, N), card=range(N))
    assert leaks(table) == set()


def test_the_time_of_an_event_is_a_target_too(clean):
    """The event indicator beside a survival time is known no earlier than the time itself."""
    time = rng().exponential(300, N)
    table = clean.assign(started=time, event=(time < 200).astype(int))
    assert leaks(table) == {("target", "event")}


def trial(n=N):
    """A trial: deaths in a follow-up, relapses in it with their time or its end, transplants with their time."""
    draw = np.random.default_rng(12)
    end = np.round(draw.exponential(900, n).clip(20, 2000))
    died = (end < draw.uniform(0, 2400, n)).astype(int)
    relapse = np.minimum(np.round(draw.exponential(1200, n)) + 1, end)
    moved = np.round(draw.uniform(1, 1500, n))
    table = pd.DataFrame(
        {
            "futime": end,
            "rx": relapse,
            "rx_seen": relapse < end,
            "moved": np.where(moved < end, moved, np.nan),
        }
    )
    age = draw.integers(18, 90, n)
    return table.assign(age=age, entered=draw.uniform(0, 15, n), nodes=draw.poisson(3, n), death=died)


def test_an_event_before_the_end_of_the_follow_up_is_found_by_its_figures():
    """Never after it, and in some rows not there at all, or that end in its stead; and the flag that tells which."""
    found = {f.column: f.evidence for f in audit_leakage(trial(), "death").findings}
    assert found.keys() == {"futime", "rx", "rx_seen", "moved"}
    assert "before that end" in found["moved"]
    assert "whether rx came before futime" in found["rx_seen"]


def test_what_is_small_beside_the_follow_up_is_no_event_in_it():
    """An age in years is never more than a follow-up in days, and no event of it."""
    table = trial().assign(bmi=rng().normal(27, 4, N).round(1))
    table.loc[::3, ["age", "bmi"]] = np.nan
    assert {f.column for f in audit_leakage(table, "death").findings} == {"futime", "rx", "rx_seen", "moved"}


def test_hours_of_work_beside_a_status_of_employment_are_no_follow_up(clean):
    status = np.where(clean["started"] == 1, "promoted", "fired")
    hours = 40 + 3 * clean["severity"] + rng().normal(0, 3, N)
    assert leaks(clean.drop(columns="severity").assign(started=status, hours=hours)) == set()
    table = (
        clean.drop(columns="severity")
        .rename(columns={"started": "status"})
        .assign(hours=hours, status=status)
    )
    assert audit_leakage(table, "status", id_column="patient_id").ok
    table["status"] = table["status"].map({"promoted": "dead", "fired": "alive"})
    assert {f.column for f in audit_leakage(table, "status", id_column="patient_id").findings} == {"hours"}


def test_what_a_leak_is_measured_from_is_none(clean):
    """The time in the air is there unless the flight is cancelled; the distance of the flight always is."""
    distance = rng().uniform(100, 3000, N)
    in_air = np.where(clean["started"] == 0, distance / 8 + rng().normal(0, 3, N), np.nan)
    assert leaks(clean.assign(distance=distance, in_air=in_air)) == {("target", "in_air")}


def test_numbered_columns_are_no_interval(clean):
    table = (
        clean.drop(columns="severity")
        .rename(columns={"started": "death"})
        .assign(z10=rng().integers(0, 5, N))
    )
    table["z11"] = table["z10"] + rng().integers(0, 3, N)
    assert audit_leakage(table, "death", id_column="patient_id").ok
    timed = table.rename(columns={"z10": "time0", "z11": "time1"})
    assert {f.column for f in audit_leakage(timed, "death", id_column="patient_id").findings} == {"time1"}


def test_bytes_and_decimals_are_values_like_any_other(clean):
    seals = clean["started"].map({0: b"\xff\x00", 1: b"\xfe"})
    assert leaks(clean.assign(seal=seals)) == {("target", "seal")}
    cost = (50 + 10 * clean["severity"] + rng().normal(0, 9, N)).map(lambda c: Decimal(f"{c:.2f}"))
    table = clean.assign(started=cost)
    assert leaks(table) == set()
    assert leaks(table.assign(leak=[2 * c for c in cost])) == {("target", "leak")}


def coarse(n=900, seed=6):
    """A table of which two rows may be equal by chance, and hardly ever are."""
    draw = np.random.default_rng(seed)
    table = pd.DataFrame({c: draw.integers(0, 12, n) for c in ("ecog", "nodes", "visits", "drugs", "grade")})
    return table.assign(started=draw.integers(0, 2, n))


def test_more_equal_rows_between_coarse_splits_than_within_one_are_copies():
    table = coarse().drop_duplicates().reset_index(drop=True)
    train, test = halves(table)
    assert audit_leakage(train, "started", other_splits={"test": test}).ok
    copied = pd.concat([test, train.iloc[:12]]).sample(frac=1, random_state=1)
    (finding,) = audit_leakage(train, "started", other_splits={"test": copied}).findings
    assert (finding.kind, finding.statistic) == ("contamination", 12)


@pytest.mark.parametrize("seed", range(8))
def test_equal_rows_by_chance_are_no_copies(seed):
    train, test = halves(coarse(seed=seed))
    assert audit_leakage(train, "started", other_splits={"test": test}).ok


def test_what_is_recorded_at_an_event_of_the_follow_up_is_found_with_it():
    """The match of a donor is there when the transplant is, and a second relapse only after a first."""
    table = trial().rename(columns={"moved": "relapse_1"})
    there = table["relapse_1"].notna()
    again = there & (rng().random(N) < 0.4)
    table["donor"] = pd.Series(rng().choice(["kin", "other"], N)).where(there)
    table["relapse_2"] = (table["relapse_1"] + 1).where(again)
    table["lab"] = pd.Series(rng().normal(size=N)).where(rng().random(N) < 0.6)
    found = {f.column for f in audit_leakage(table, "death").findings}
    assert found == {"futime", "rx", "rx_seen", "relapse_1", "relapse_2", "donor"}


def test_the_date_of_an_entry_is_before_all_that_follows_it():
    entry = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng().integers(0, 900, N), unit="D")
    table = trial().assign(accepted=entry)
    table["moved_date"] = entry + pd.to_timedelta(table["moved"], unit="D")
    table["last_date"] = entry + pd.to_timedelta(table["futime"], unit="D")
    assert "accepted" not in {f.column for f in audit_leakage(table, "death").findings}
