"""What hatchling is told while it builds the source archive."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NothingOfTheRepository(BuildHookInterface):
    """Leaves out git's list of files that are not the project's; hatchling takes it along, whatever is excluded."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Take it out of the files that are put in by force."""
        forced: dict[str, str] = build_data["force_include"]
        build_data["force_include"] = {path: name for path, name in forced.items() if Path(path).name != ".gitignore"}
