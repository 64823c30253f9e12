"""The documentation site builds without a warning, and a page loads nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from e2i_assets.cohorts import CohortConfig
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.monitoring.alerts.alert import KINDS, Kind
from e2i_assets.monitoring.alerts.config import AlertRules
from e2i_assets_tests.conftest import ROOT
from e2i_assets_tests.site.models import sections, undescribed
from e2i_assets_tests.site.pages import SCOPES

LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href"}
"""Element to the attribute whose address a browser opens by itself."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a page that is in no menu, a dead link or anchor is a warning, which strict refuses."""
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    return folder


class Loads(HTMLParser):
    """What a page loads, and the classes that the theme's script fetches something for."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.classes |= set((values.get("class") or "").split())
        if address := values.get(LOADED.get(tag, "")):
            self.addresses.append(address)


def elsewhere(text: str) -> Iterator[str]:
    """What a style sheet loads from another host."""
    yield from re.findall(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")]+)", text)


def test_a_page_loads_nothing_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 2
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.addresses
        assert [a for a in loads.addresses if re.match(r"(\w+:)?//", a)] == [], page
        assert not loads.classes & {"mermaid", "md-source"}, page
    assert [a for sheet in site.rglob("*.css") for a in elsewhere(sheet.read_text(encoding="utf-8"))] == []


def test_the_check_of_style_sheets_sees_what_a_font_would_be() -> None:
    assert list(elsewhere('@import "//fonts.example/a.css"; a{b:url(https://fonts.example/c.woff)}')) == [
        "//fonts.example/a.css", "https://fonts.example/c.woff",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "model", [CohortConfig, *SCOPES, Mapping, AlertRules], ids=lambda model: model.__name__
)
def test_every_key_of_a_file_has_its_meaning(model: type) -> None:
    assert undescribed(model) == [], "say it under Attributes in the docstring"


def test_every_kind_of_alert_has_its_meaning() -> None:
    assert tuple(KINDS) == get_args(Kind)


def test_a_key_is_shown_with_what_it_may_be() -> None:
    lines = sections(CohortConfig, "Cohort").splitlines()
    assert (
        "| `minimum_size` | whole number ≥ 1 | `100` | members below which the cohort is refused. |" in lines
    )
    (criteria,) = [line for line in lines if line.startswith("| `inclusion_criteria`")]
    assert (
        "list of [Criterion](#criterion) or [Event criterion](#event-criterion) or "
        "[Group criterion](#group-criterion) | **required** |" in criteria
    )
    assert any(line.startswith("### Temporal requirements") for line in lines)
