"""For editable installs: links in `evolift/` to the rooms, which lie at the top of the repository.

A wheel gets the rooms as sub-packages of `evolift` by the `sources` of pyproject.toml. Links to folders do the same for
a checkout: every import of `evolift.lifter` is a plain file to Python, type checkers and editors, and a new file is
there at once. They are made by `pip install -e .`, ignored by git, and junctions on Windows, which need no privileges.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RoomLinks(BuildHookInterface):
    """Makes the links when hatchling builds an editable wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Link each room into the package, unless a full wheel is built."""
        if version != "editable":
            return
        root = Path(self.root)
        for room, place in self.build_config.target_config["sources"].items():
            link = root / place
            if link.is_symlink() and not link.exists():
                link.unlink()  # of a room that is gone or renamed
            if not os.path.lexists(link):
                link_folder(root / room, link)


def link_folder(target: Path, link: Path) -> None:
    """Make `link` lead to the folder `target`."""
    if sys.platform == "win32":
        import _winapi  # noqa: PLC0415 - Windows only

        _winapi.CreateJunction(str(target), str(link))
    else:
        link.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
