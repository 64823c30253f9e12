"""The report of coverage: figures of files, summed by package."""

from __future__ import annotations

from e2i_assets_tests.coverage_report import by_package, share


def figures(*counted: int) -> dict[str, dict[str, int]]:
    names = ("covered_lines", "missing_lines", "covered_branches", "missing_branches")
    return {"summary": dict(zip(names, counted, strict=True))}


def test_figures_are_summed_by_package() -> None:
    sums = by_package(
        {
            "e2i_assets/cli/main.py": figures(5, 5, 1, 3),
            "e2i_assets/cli/up.py": figures(15, 15, 0, 0),
            "e2i_assets/ingest/synthetic/dirt.py": figures(8, 0, 2, 0),
            "e2i_assets/build.py": figures(2, 0, 0, 0),
        }
    )
    assert list(sums) == ["build", "cli", "ingest", "e2i_assets"]
    assert [tuple(sums[name].values()) for name in ("cli", "e2i_assets")] == [(20, 20, 1, 3), (30, 20, 3, 3)]


def test_a_share_of_nothing_is_none() -> None:
    assert (share(1, 3), share(0, 0)) == (" 25.0 %", "")
