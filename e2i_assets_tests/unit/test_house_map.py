"""The map of the house in CONTRIBUTING.md is of the code as it is."""

from __future__ import annotations

import re

from e2i_assets_tests.conftest import ROOT
from e2i_assets_tests.house_map import PICTURE, picture, reduced


def test_the_map_is_that_of_the_code() -> None:
    assert PICTURE.read_text() == picture(), "packages or their imports have changed: run `make map`"


def test_an_import_that_follows_from_others_is_not_drawn() -> None:
    edges = {("a", "b"), ("b", "c"), ("a", "c"), ("a", "d"), ("c", "e"), ("a", "e")}
    assert reduced(edges) == [("a", "b"), ("a", "d"), ("b", "c"), ("c", "e")]


def test_the_files_that_contributing_names_are_there() -> None:
    named = re.findall(
        r"`((?:config|docs|e2i_assets|e2i_assets_tests)/[\w./<>]+)`", (ROOT / "CONTRIBUTING.md").read_text()
    )
    assert len(named) > 20
    assert [name for name in named if not (ROOT / re.sub(r"[^/]*<.*", "", name)).exists()] == []
