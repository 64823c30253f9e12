"""What several integration tests need: the command line on the test's own database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from e2i_assets.cli.main import main
from e2i_assets.settings import Settings, settings


@pytest.fixture
def command(
    here: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str]]]:
    """`e2i data …` in this process, on the test's database: exit code and all that it said."""
    assert here.database_url is not None
    monkeypatch.setenv("E2I_DATABASE_URL", here.database_url.get_secret_value())
    settings.cache_clear()

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["e2i", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), "".join(capsys.readouterr())

    yield run
    settings.cache_clear()
