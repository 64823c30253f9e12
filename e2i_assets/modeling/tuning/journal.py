"""What an interrupted study has already fitted: one line of JSON per fit, written as it is done.

A study that starts again proposes the same trials, because its sampler is seeded, and takes from here what
came of them: it ends as one that was never interrupted. Parameters and scores only, no row of anybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2i_assets.json_files import from_json, to_json
from e2i_assets.modeling.tuning.trials import Fit, Fitted


class StudyJournal:
    """The fits of one study, by trial and rung.

    Args:
        path: its file, `<name>-<hash of all that decides the study>.jsonl`; None keeps nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._fitted: dict[tuple[int, int], tuple[Mapping[str, Any], Fitted]] = {}
        if path and path.exists():
            written = path.read_bytes()
            whole = self._read(written)
            if len(whole) < len(written):
                path.write_bytes(whole)

    def _read(self, written: bytes) -> bytes:
        """Take in the entries up to the first that is no whole one, and return their lines.

        A machine that lost power may have left half a line, or zeros; what follows is fitted again, to the
        same.
        """
        lines = written.splitlines(keepends=True)
        for number, line in enumerate(lines):
            try:
                entry = json.loads(line)
                key = (entry["number"], entry["level"])
                trial = (entry["params"], from_json(Fitted, entry["fitted"]))
            except (ValueError, KeyError, TypeError):
                return b"".join(lines[:number])
            if not line.endswith(b"\n"):
                return b"".join(lines[:number])
            self._fitted[key] = trial
        return written

    def fitted(self, fit: Fit) -> Fitted | None:
        """What came of a fit, where it is known."""
        params, fitted = self._fitted.get((fit.number, fit.level), (None, None))
        return fitted if params == dict(fit.params) else None

    def write(self, fit: Fit, fitted: Fitted) -> None:
        """Keep what came of a fit."""
        if self._path is None:
            return
        entry = {
            "number": fit.number,
            "level": fit.level,
            "params": dict(fit.params),
            "fitted": to_json(fitted),
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def remove(self) -> None:
        """Forget it all, and what studies of the same name left that were never ended: this one is over."""
        if self._path:
            name = self._path.stem.rpartition("-")[0]
            for path in (self._path, *self._path.parent.glob(f"{name}-*{self._path.suffix}")):
                if path.stem.rpartition("-")[0] == name:
                    path.unlink(missing_ok=True)
