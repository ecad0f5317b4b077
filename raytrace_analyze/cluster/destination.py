"""Where collected spans go: a folder of this machine, or a URL of storage that all nodes reach."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.output import whole_file
from raytrace_analyze.values import frozen

TABLE = "spans.parquet"
PARTS = "parts"


class Destination(Protocol):
    """A place with named files in it; a name may have one folder in front. All may raise OSError."""

    @property
    def is_shared(self) -> bool:
        """Whether the nodes reach it themselves."""

    def read(self, name: str) -> bytes | None:
        """Give a file's content; None where it is not there."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, which appears whole or not at all."""

    def names(self, folder: str) -> list[str]:
        """Give the names of what is in a folder."""

    def shown(self, name: str) -> str:
        """Give what a user would call the file."""


@frozen
class LocalFolder:
    """A folder of this machine."""

    folder: Path
    is_shared: bool = False

    def read(self, name: str) -> bytes | None:
        """Give a file's content; None where it is not there."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, which appears whole or not at all; only its owner may read it, as span files are."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, 0o600) as file:
            file.write(content)

    def names(self, folder: str) -> list[str]:
        """Give the names of what is in a folder."""
        place = self.folder / folder
        return sorted(path.name for path in place.iterdir()) if place.is_dir() else []

    def shown(self, name: str) -> str:
        """Give what a user would call the file."""
        return str(self.folder / name)


@frozen
class Storage:
    """A URL that fsspec knows: s3://, gs://, hdfs:// ..."""

    url: str
    is_shared: bool = True

    def read(self, name: str) -> bytes | None:
        """Give a file's content; None where it is not there."""
        files, root = self._opened()
        try:
            content: bytes = files.cat_file(f"{root}/{name}")
        except FileNotFoundError:
            return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file; an object store shows it when all of it is there."""
        files, root = self._opened()
        with suppress(NotImplementedError, FileExistsError):  # an object store has no folders
            files.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
        files.pipe_file(f"{root}/{name}", content)

    def names(self, folder: str) -> list[str]:
        """Give the names of what is in a folder."""
        files, root = self._opened()
        with suppress(FileNotFoundError):
            files.invalidate_cache()
            return sorted(path.rpartition("/")[2] for path in files.ls(f"{root}/{folder}", detail=False))
        return []

    def shown(self, name: str) -> str:
        """Give what a user would call the file."""
        return f"{self.url.rstrip('/')}/{name}"

    def _opened(self) -> tuple[Any, str]:
        import fsspec

        files, root = fsspec.core.url_to_fs(self.url)
        return files, root.rstrip("/")


def destination_of(text: str) -> Destination:
    """Tell by its name what a destination is. Raises UsageError for a URL that nothing here can write to."""
    if "://" not in text:
        return LocalFolder(Path(text))
    try:
        import fsspec

        fsspec.core.url_to_fs(text)
    except ImportError as error:
        raise UsageError(f"cannot write to {text}: {error}; install that here and on the nodes") from error
    except Exception as error:
        raise UsageError(f"cannot write to {text}: {error}") from error
    return Storage(text)
