"""What a mapping's expressions may say, and that no value changes on the way through one, on any machine."""

from __future__ import annotations

import datetime as dt
import gzip
import time
from pathlib import Path

import duckdb
import polars as pl
import pytest
import sqlglot

from e2i_assets.ingest import planning
from e2i_assets.ingest.allowed import refusal
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import MappingError
from e2i_assets.ingest.opening import open_source
from e2i_assets.ingest.sources import read_source
from e2i_assets_tests.unit.source_frames import NOW, attributes, mapped, read, read_in, refusals


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age_at_diagnosis": "agee"}, r"people\.csv has no column agee; is it `age`\?"),
        ({"age_at_diagnosis": "hight"}, r"people\.csv has no column hight; is it ` Height`\?"),
        ({"age_at_diagnosis": "no_such(age)"}, "no_such is none of the functions"),
        ({"age_at_diagnosis": "grestest(age, 1)"}, "is it `greatest`"),
        *[
            ({"age_at_diagnosis": sql}, "is over other rows, too; `key: content`")
            for sql in (
                "max(age)",
                "lag(age) OVER ()",
                "row_number() OVER ()",
                "1 + first(age ORDER BY id)",
                "sum(age) FILTER (WHERE age > 1)",
                "mode(age)",
                "string_agg(id, ',')",
                "age + any_value(age)",
            )
        ],
        *[
            ({"diagnosis_code": sql}, "none of the functions|cannot stand in a mapping")
            for sql in (
                "read_text('/etc/hostname')",
                "getenv('HOME')",
                "glob('/etc/*')",
                "current_setting('TimeZone')",
                "query('SELECT 1')",
                "nextval('x')",
                "random()::VARCHAR",
                "uuid()::VARCHAR",
                "version()",
                "current_user",
                "now()::VARCHAR",
                "entropy(age)",
                "list_transform([id], x -> x)",
                "hash(id)",
                "write_log(id)",
                "pg_read_file('x')",
                "id || getvariable('x')",
                "$1",
                "age(seen)",
                "generate_subscripts([1, 2], 1)",
            )
        ],
        *[
            ({"diagnosis_code": sql}, "is a command|cannot stand|not over the columns|is not SQL")
            for sql in (
                "execute || (SELECT content FROM read_text('/etc/hostname'))",
                "prepare || id",
                "ATTACH 'x'",
                "COPY people TO 'x'",
                "INSTALL httpfs",
                "PRAGMA version",
                "SET threads = 1",
                "id; SELECT 1",
                "CALL x()",
                "explain id",
                "LOAD 'x'",
                "EXPORT DATABASE 'x'",
                "CREATE TABLE x AS SELECT 1",
            )
        ],
        ({"source_timestamp": "seen::TIMESTAMPTZ"}, "leave the cast out"),
        ({"source_timestamp": "TIMESTAMPTZ '2024-01-31 08:00:00'"}, "leave the cast out"),
        *[
            ({"diagnosis_code": sql}, "is not over the columns of its row alone")
            for sql in (
                "(SELECT content FROM read_text('/etc/hostname'))",
                "CASE WHEN EXISTS (FROM read_blob('/etc/hostname')) THEN 'a' END",
                "id IN (SELECT column0 FROM '/etc/passwd')",
                "(VALUES ('x'))",
                "(TABLE people)",
                "(SUMMARIZE people)",
                "*",
                "COLUMNS('id')",
                "UNNEST([id, id])",
            )
        ],
    ],
)
def test_an_expression_that_cannot_stand_names_its_line(
    tmp_path: Path, columns: dict[str, str], message: str
) -> None:
    place = rf"mapping\.yaml:\d+: tables\.patient_journeys\.columns\.{next(iter(columns))}: .*"
    with pytest.raises(MappingError, match=f"{place}(?:{message})"):
        read(tmp_path, "id,age, Height,seen\n1,40,190,2024-01-31 08:00:00\n", columns)


@pytest.mark.parametrize("name", ["gender", "tall"])
def test_what_is_carried_cannot_meet_a_column_or_attribute_of_that_name(tmp_path: Path, name: str) -> None:
    text = f"id,height,{name}\n1,190,x\n"
    with pytest.raises(MappingError, match=rf"mapping\.yaml:\d+: .*has a column {name}, .*`leave_out`"):
        read(tmp_path, text, {}, attributes={"tall": "height > 180"})
    part = read(tmp_path, text, {}, attributes={"tall": "height > 180"}, leave_out=[name])
    assert attributes(part) == [{"tall": True}]


def test_a_column_that_must_not_be_empty_must_be_said(tmp_path: Path) -> None:
    mapping = mapped(tmp_path, {})
    spec = mapping.tables["patient_journeys"]
    rest = {name: how for name, how in spec.columns.items() if name not in ("brand", "patient_id")}
    lacking = mapping.model_copy(
        update={"tables": {"patient_journeys": spec.model_copy(update={"columns": rest})}}
    )
    (tmp_path / "people.csv").write_text("id\n1\n")
    with pytest.raises(MappingError, match=r"mapping\.yaml:\d+: .*columns: lacks patient_id, brand, which"):
        read_source(tmp_path / "people.csv", lacking, now=NOW)


def test_days_and_hours_do_not_depend_on_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = dt.datetime(2024, 1, 31, 23, 30, tzinfo=dt.UTC)
    pl.DataFrame({"id": ["1"], "t": [moment]}).write_parquet(tmp_path / "people.parquet")
    columns = {"diagnosis_date": "t::DATE", "diagnosis_code": "hour(t)::VARCHAR"}
    for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        for stated, day, hour in (({}, 31, "23"), ({"time_zone": "Europe/Berlin"}, 1, "0")):
            mapping = mapped(tmp_path, columns, stated)
            part = read_in(read_source(tmp_path / "people.parquet", mapping, now=NOW))
            assert part.frame["diagnosis_date"][0].day == day
            assert part.frame["diagnosis_code"][0] == hour
    monkeypatch.undo()
    time.tzset()


def test_a_nul_in_a_carried_cell_names_the_column(tmp_path: Path) -> None:
    part = read(tmp_path, b"id,note\n1,a\0b\n2,c\n", {})
    assert refusals(part) == {1: "must not hold a NUL character"}
    assert part.refused is not None
    assert part.refused["column_name"].to_list() == ["note"]


def test_a_column_may_have_the_name_of_a_command(tmp_path: Path) -> None:
    part = read(tmp_path, "id,execute\n1,a\n", {"diagnosis_code": '"execute" || id'})
    assert part.frame["diagnosis_code"].to_list() == ["a1"]
    with pytest.raises(MappingError, match='a column of that name is written "execute"'):
        read(tmp_path, "id,execute\n1,a\n", {"diagnosis_code": "execute || id"})


def test_a_column_may_have_the_name_of_a_function(tmp_path: Path) -> None:
    columns = {"patient_id": "user", "diagnosis_code": "upper(USER) -- */ (SELECT 1)"}
    part = read(tmp_path, "id,user\n1,ann\n", columns)
    assert part.frame.select("patient_id", "diagnosis_code").row(0) == ("ann", "ANN")
    with pytest.raises(MappingError, match="has no column user"):
        read(tmp_path, "id\n1\n", {"patient_id": "user"})
    with pytest.raises(MappingError, match="has no column rowid"):
        read(tmp_path, "id\n1\n", {"patient_id": "rowid::VARCHAR"})


@pytest.mark.parametrize(
    "source", ["people.csv", "people.csv.gz", "people.parquet", "people.duckdb", "latin-1"]
)
@pytest.mark.parametrize(
    "sql",
    [
        "(SELECT count(*)::VARCHAR FROM read_text('{other}'))",
        "(SELECT count(*)::VARCHAR FROM glob('{folder}/*'))",
        "(SELECT count(*)::VARCHAR FROM '{other}')",
    ],
)
def test_what_gets_past_the_list_still_reaches_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, sql: str
) -> None:
    monkeypatch.setattr(planning, "refusal", lambda tree: None)
    frame = pl.DataFrame({"id": ["1"]})
    other = tmp_path / "other" / "other.csv"
    other.parent.mkdir()
    frame.write_csv(other)
    path = tmp_path / (source if "." in source else "people.csv")
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path)) as clinic:
            clinic.sql("CREATE TABLE people AS SELECT * FROM frame")
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    else:
        frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    how = {"encoding": source} if "." not in source else {}
    place = {"table": "people"} if path.suffix == ".duckdb" else {}
    assert read_in(read_source(path, mapped(tmp_path, {}, how, **place), now=NOW)).frame.height == 1
    mapping = mapped(tmp_path, {"diagnosis_code": sql.format(other=other, folder=other.parent)}, how, **place)
    with pytest.raises(MappingError, match="disabled by configuration"):
        read_source(path, mapping, now=NOW)


def test_a_view_of_a_database_reads_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    with duckdb.connect(str(tmp_path / "clinic.duckdb")) as database:
        text = f"SELECT content FROM read_text('{tmp_path}/secret.txt')"
        database.execute(f"CREATE VIEW people AS SELECT 1 AS id, ({text}) AS code")
    mapping = mapped(tmp_path, {"diagnosis_code": "code"}, table="people")
    with pytest.raises(SourceError, match=r"clinic\.duckdb main\.people: is a view that reads files"):
        read_source(tmp_path / "clinic.duckdb", mapping, now=NOW)


def test_the_settings_of_a_source_are_locked(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id\n1\n")
    source = open_source(str(tmp_path / "people.csv"))
    source.seal()
    with pytest.raises(duckdb.InvalidInputException, match="locked"):
        source.connection.execute("SET enable_external_access = true")


SAME = (
    "strptime(d, '%d.%m.%Y')::DATE", "try_strptime(d, '%d.%m.%Y')", "strftime(t, '%Y-%m-%d %H:%M')", "n // 2", "n % 2",
    "n / 2", "date_diff('day', t, DATE '2024-03-01')", "t + INTERVAL 3 DAY", "t::DATE + n::INTEGER", "lpad(n::VARCHAR, 4, '0')",
    "sha256(d)", "md5(d)", "log10(n)", "log2(n)", "ln(n)", "round(n / 3, 2)", "d[1:2]", "split_part(d, '.', 2)",
    "regexp_extract(d, '([0-9]+)', 1)", "regexp_replace(d, '[.]', '-', 'g')", "regexp_matches(d, '^0')", "date_trunc('month', t)",
    "extract(year FROM t)", "dayofweek(t)", "isodow(t)", "epoch(t)", "make_date(n, 1, 2)", "n::DECIMAL(10, 2)", "n ^ 2",
    "CASE WHEN n > 1 THEN 'a' END", "n IS DISTINCT FROM 2", "concat(d, NULL, 'x')", "d || NULL", "concat_ws('-', d, n)",
    "substring(d, 1, 2)", "greatest(n, NULL, 1)", "trim(d, '0')", "instr(d, '.')", "list_contains([1, 2], n)", "to_days(n::INTEGER) + t",
    "string_split(d, '.')[1]", "coalesce(NULL, d)", "nullif(n, 2)", "xor(n, 1)", "d NOT LIKE '0%'", "last_day(t)", "week(t)",
    "date_part('year', t)", "ifnull(NULL, 1)", "if(n > 1, 1, 2)", "format('{}', n)", "t BETWEEN DATE '2024-01-01' AND t", "-n", "1.50::VARCHAR",
)  # fmt: skip


@pytest.mark.parametrize("sql", SAME)
def test_what_is_evaluated_means_what_was_written(sql: str) -> None:
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    assert refusal(tree) is None
    rows = "(SELECT 2::BIGINT AS n, '03.02.2024' AS d, TIMESTAMP '2024-02-03 04:05:06' AS t)"
    asked = (f"SELECT ({x}) AS x FROM {rows}" for x in (sql, tree.sql("duckdb")))
    as_written, as_judged = (duckdb.sql(query).fetchall() for query in asked)
    assert as_judged == as_written
