"""The file that an export goes to: whole or not there, packed where its name says so."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from raytrace_analyze.files.output import whole_file


@contextmanager
def result_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of `path` when all went well; packed if its name ends in `.gz`.

    Raises OSError where it cannot be written.
    """
    with whole_file(path) as file:
        if path.name.endswith(".gz"):
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        else:
            yield file
