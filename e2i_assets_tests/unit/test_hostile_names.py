"""Names and values that are HTML, Markdown or script stay text on every page and in Dagit's Markdown."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser

import dagster as dg
import httpx
import polars as pl
import pytest
from jinja2 import UndefinedError
from markdown_it import MarkdownIt
from starlette.applications import Starlette

from e2i_assets.assets import shown
from e2i_assets.cli.front import LOOPBACK
from e2i_assets.cli.pages import pages_route
from e2i_assets.cohorts import CohortConstructor
from e2i_assets.contracts.dictionary import dictionary, markdown
from e2i_assets.contracts.markdown import Written, code, plain, table, unescaped
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.contracts.variables import Attribute, Feature
from e2i_assets.gates.verdict import refuse
from e2i_assets.html_pages import render
from e2i_assets.leakage.findings import Finding, LeakageReport
from e2i_assets.leakage.render import html as leakage_page
from e2i_assets.quality import QCReport, build_qc_report
from e2i_assets.quality.config import Expectation
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.stages.display import check
from e2i_assets_tests.conftest import ROOT
from e2i_assets_tests.unit.cohort_frames import config, observed
from e2i_assets_tests.unit.quality_frames import ATTRIBUTES, clean_tables, declared, quality_config
from e2i_assets_tests.unit.test_front import served

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "a | b `c` | <b>d</b>",
    "[x](javascript:alert(1))",
    "![x](https://elsewhere.example/p.png)",
    "<javascript:alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "</title></style><iframe src=javascript:alert(1)>",
    "{{ 7*7 }} $x ${x} %s",
    "x\n\n<script>alert(1)</script>\n# heading",
)
NAMED = " ".join(HOSTILE)
LIMIT = f"brand <> '{HOSTILE[0]}'"


class Page(HTMLParser):
    """Tags, attributes and text of a page, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def require_harmless(html: str, *shown: str) -> None:
    """No tag, handler or address came of a text, and the texts are there as they were."""
    page = Page(html)
    assert {tag for tag, _ in page.tags}.isdisjoint(
        {"script", "svg", "iframe", "object", "embed", "link", "base"}
    )
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for address in (attributes.get("src"), attributes.get("href")):
            allowed = ("data:image/png;base64,",) if tag == "img" else ("../report.html", "data_docs/", "#")
            assert address is None or address.startswith(allowed) or address.endswith(".html"), address
    answer = " ".join(page.text.split())
    for text in shown:
        assert " ".join(text.split()) in answer


@cache
def quality_report() -> QCReport:
    """Declared columns of hostile names that are missing, and a suite whose texts and values are hostile."""
    settings = quality_config("causal_paths")
    (suite,) = settings.suites
    broken = [
        Expectation(
            type="expect_column_values_to_be_in_set",
            kwargs={"column": c, "value_set": list(HOSTILE)},
            why=NAMED,
        )
        for c in ("source_node", "target_node")
    ]
    pattern = Expectation(
        type="expect_column_values_to_match_regex", kwargs={"column": "brand", "regex": HOSTILE[1]}, why="x"
    )
    limited = Expectation(
        type="expect_column_values_to_match_regex",
        kwargs={"column": "brand", "regex": "x"},
        where=LIMIT,
        why="x",
    )
    suite = suite.model_copy(update={"expectations": (*broken, pattern, limited), "description": NAMED})
    return build_qc_report(
        clean_tables(60), attributes=ATTRIBUTES | {name: declared("integer") for name in HOSTILE},
        raw_versions=dict.fromkeys(RAW_TABLES, "v"), config=settings.model_copy(update={"suites": (suite,)}),
    )  # fmt: skip


def leakage_report() -> LeakageReport:
    findings = tuple(Finding("target", name, 0.9, 0.8, f"{name} tells the target") for name in HOSTILE)
    return LeakageReport(NAMED, 10, findings, {"target": 3}, HOSTILE, HOSTILE, HOSTILE)


def attrition() -> str:
    frame = observed(pl.DataFrame({"patient_journey_id": ["a"], HOSTILE[1]: ["x"]}))
    _, result = CohortConstructor(config([(HOSTILE[1], "==", HOSTILE[0])])).construct_cohort(frame)
    entry = dataclasses.replace(result.eligibility_log[0], description=NAMED)
    return dataclasses.replace(result, eligibility_log=(entry,)).attrition_markdown()


def described(schema: dg.TableSchema) -> str:
    return "\n\n".join(column.description or "" for column in schema.columns)


def features() -> list[Feature]:
    return [Feature(name=name, kind="numeric", unit=name, description=name, source=name) for name in HOSTILE]


def hostile_attributes() -> dict[str, Attribute]:
    return {
        name: Attribute(dtype="integer", available_at="index", unit=name, description=name)
        for name in HOSTILE
    }


PAGES: dict[str, Callable[[], str]] = {
    "quality report": lambda: quality_report().to_html(),
    "leakage audit": lambda: leakage_page({NAMED: leakage_report()}),
}
DOCUMENTS: dict[str, Callable[[], str]] = {
    "quality report": lambda: quality_report().to_markdown(),
    "leakage audit": lambda: leakage_report().to_markdown(),
    "attrition": attrition,
    "schema of features": lambda: described(shown.feature_schema(features())),
    "schema of an extract": lambda: described(
        shown.raw_schema(
            "patient_journeys", pl.DataFrame({name: [1] for name in HOSTILE}), hostile_attributes()
        )
    ),
    "result of a check": lambda: str(
        check(dg.AssetKey("a"), "is_good", refuse("bad", NAMED, NAMED), "p, 2024-01-01", {}).description
    ),
    "dictionary": lambda: markdown(dictionary({"p": hostile_attributes()})),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_show_names_and_obey_none(name: str) -> None:
    require_harmless(PAGES[name](), *HOSTILE)


def test_data_docs_show_rules_and_obey_none() -> None:
    pages = [suite.page for suite in quality_report().suites if suite.page]
    assert pages
    for page in pages:
        require_harmless(page, NAMED, HOSTILE[0], f"brand where {LIMIT}")


def test_no_template_shows_a_value_unescaped_or_one_that_is_missing() -> None:
    texts = [path.read_text() for path in (ROOT / "e2i_assets" / "templates").iterdir()]
    assert len(texts) > 4
    assert not [text for text in texts if re.search(r"\bsafe\b|autoescape", text)]
    with pytest.raises(UndefinedError, match="'suites' is undefined"):
        render("data_docs_index.html", title="Data Docs", status="passed")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_markdown_shows_names_and_obeys_none(name: str) -> None:
    """Rendered with HTML allowed, which Dagit does not: nothing may depend on its sanitizer."""
    rendered = (
        MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").render(DOCUMENTS[name]())
    )
    page = Page(rendered)
    assert {tag for tag, _ in page.tags} <= {
        "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "h1", "h2", "h4", "ul", "li", "code",
    }  # fmt: skip
    rows = [row.count("<td") + row.count("<th") for row in rendered.split("</tr>")[:-1]]
    assert len(set(rows)) <= len(Page(rendered).text.split("\n"))
    assert "alert(1)" in page.text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_one_cell_and_says_what_it_said(text: str) -> None:
    assert unescaped(plain(text)) == " ".join(text.split())
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    for cell, tags in ((plain(text), []), (code(text), ["code"])):
        page = Page(parser.render(f"| a | b |\n|---|---|\n| {cell} | end |"))
        assert [t for t, _ in page.tags] == [
            "table",
            "thead",
            "tr",
            "th",
            "th",
            "tbody",
            "tr",
            "td",
            *tags,
            "td",
        ]
        result = " ".join(text.split())
        assert (result if not tags else result.replace("`", "'")) in " ".join(page.text.split())


def test_a_browser_is_told_to_run_nothing(tmp_path) -> None:
    page = f"qc_report/p/{'0' * 16}/report.html"
    (tmp_path / page).parent.mkdir(parents=True)
    (tmp_path / page).write_text("<script>alert(1)</script>")
    app = Starlette(routes=[pages_route(ArtifactStore(str(tmp_path)))])
    with served(app) as port, httpx.Client(base_url=f"http://{LOOPBACK}:{port}") as browser:
        for path, status in ((page, 200), ("<script>alert(1)</script>", 404)):
            answer = browser.get(f"/pages/{path}")
            assert answer.status_code == status
            assert {"sandbox", "default-src 'none'"} < set(
                answer.headers["content-security-policy"].split("; ")
            )
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_table_has_as_many_cells_in_a_row_as_headings_whatever_stands_in_them() -> None:
    text = table(("#a", "b"), [("x | y", code("p | q `r`")), ("<b>\n", Written("1 < 5"))], right=("b",))
    assert text.splitlines() == [
        "| \\#a | b |", "| --- | --: |", "| x \\| y | `p \\| q 'r'` |", "| &lt;b&gt; | 1 < 5 |",
    ]  # fmt: skip
