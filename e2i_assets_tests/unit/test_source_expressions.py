"""What a mapping's expressions may say, and that no value changes on the way through one, on any machine."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import polars as pl
import pytest

from e2i_assets.ingest.mapping import MappingError
from e2i_assets.ingest.sources import read_source
from e2i_assets_tests.unit.source_frames import NOW, attributes, mapped, read, read_in, refusals


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"age_at_diagnosis": "agee"}, r"people\.csv has no column agee; is it `age`\?"),
        ({"age_at_diagnosis": "hight"}, r"people\.csv has no column hight; is it ` Height`\?"),
        ({"age_at_diagnosis": "max(age)"}, "must appear in the GROUP BY"),
        ({"age_at_diagnosis": "no_such(age)"}, "no_such does not exist"),
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
                "generate_subscripts([1, 2], 1)",
            )
        ],
    ],
)
def test_an_expression_that_cannot_stand_names_its_line(
    tmp_path: Path, columns: dict[str, str], said: str
) -> None:
    place = rf"mapping\.yaml:\d+: tables\.patient_journeys\.columns\.{next(iter(columns))}: .*"
    with pytest.raises(MappingError, match=place + said):
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
    assert part.refused["column"].to_list() == ["note"]
