"""`e2i init`: a folder of one's own to work in, filled with the configuration that comes along."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from e2i_assets.cli.output import say
from e2i_assets.errors import E2IError
from e2i_assets.settings import shipped

CONFIG, WORKSPACE, IGNORE = "config", "workspace.yaml", ".gitignore"
HOME = ".e2i/"


class FolderTaken(E2IError, RuntimeError):
    """What would be written is there already."""

    code = "folder_taken"


def run_init(folder: Path) -> int:
    """Write `config/`, `workspace.yaml` and a `.gitignore` for the home; nothing that is there is touched.

    Raises:
        FolderTaken: a configuration is there, or a link that leads nowhere; nothing was written.
    """
    taken = [str(folder / name) for name in (CONFIG, WORKSPACE) if os.path.lexists(folder / name)]
    if _leads_nowhere(folder / IGNORE):
        taken.append(str(folder / IGNORE))
    if taken:
        raise FolderTaken(
            f"{', '.join(taken)}: there already; nothing was written.",
            "Give a new folder, or move that away.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(shipped(CONFIG), folder / CONFIG)
    shutil.copyfile(shipped(WORKSPACE), folder / WORKSPACE)
    say(f"wrote {folder / CONFIG} and {folder / WORKSPACE}")
    if (folder / IGNORE).exists():
        say(f"add {HOME} to {folder / IGNORE}: everything is kept there, patients and keys too")
    else:
        (folder / IGNORE).write_text(f"# Everything that is kept: database, artifacts, keys.\n{HOME}\n")
    named = f"./{folder}" if str(folder).startswith("-") else str(folder)
    change_folder = "" if folder.resolve() == Path.cwd() else f"  cd {shlex.quote(named)}\n"
    say(
        f"Next:\n{change_folder}"
        "  e2i demo     # synthetic patients, every partition from raw tables to a Bento bundle\n"
        "  e2i up       # Dagit on what the demo made\n"
        f"A file in {CONFIG}/cohorts is a partition, one in {CONFIG}/scopes a question; all of it is yours."
    )
    return 0


def _leads_nowhere(path: Path) -> bool:
    """Whether it is a link to what is not there: writing it would write elsewhere."""
    return path.is_symlink() and not path.exists()
