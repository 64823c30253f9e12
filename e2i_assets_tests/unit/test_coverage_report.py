"""The report of coverage: figures of files, summed by package."""

from __future__ import annotations

from e2i_assets_tests.coverage_report import by_package, share


def figures(statements: int, lines: int, branches: int, covered: int) -> dict[str, dict[str, int]]:
    return {
        "summary": {
            "num_statements": statements, "covered_lines": lines, "num_branches": branches, "covered_branches": covered,
        }
    }  # fmt: skip


def test_figures_are_summed_by_package() -> None:
    sums = by_package(
        {
            "e2i_assets/cli/main.py": figures(10, 5, 4, 1),
            "e2i_assets/cli/up.py": figures(30, 15, 0, 0),
            "e2i_assets/ingest/synthetic/dirt.py": figures(8, 8, 2, 2),
            "e2i_assets/build.py": figures(2, 2, 0, 0),
        }
    )
    assert list(sums) == ["build", "cli", "ingest", "e2i_assets"]
    assert [tuple(sums[name].values()) for name in ("cli", "e2i_assets")] == [(40, 20, 4, 1), (50, 30, 6, 3)]


def test_a_share_of_nothing_is_none() -> None:
    assert (share(1, 4), share(0, 0)) == (" 25.0 %", "")
