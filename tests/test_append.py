"""`merge --append`: only what is new is read, twice changes nothing, and the table is that of merging all at once."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.decode import span_json
from raytrace_analyze.errors import UsageError

SAMPLES = Path(__file__).parent.parent / "sample_spans"
CAPTURES = sorted(folder.parent.name for folder in SAMPLES.glob("*/spans"))


def merge(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(app, ["merge", *map(str, arguments)])
    assert done.exit_code == 0, done.exception
    return done


def cut(source: Path, target: Path, share: float) -> None:
    """Copy the first part of a file, to the end of a line."""
    content = source.read_bytes()
    target.write_bytes(content[: content.rfind(b"\n", 0, int(len(content) * share)) + 1])


@pytest.mark.parametrize("capture", CAPTURES)
def test_appending_gives_what_merging_all_at_once_gives(capture: str, tmp_path: Path) -> None:
    files = sorted((SAMPLES / capture / "spans").iterdir())
    folder, table = tmp_path / "spans", tmp_path / "t.parquet"
    folder.mkdir()
    for number, file in enumerate(files):
        if number != 1:
            cut(file, folder / file.name, 0.6)
    merge(folder, "-o", table, "--append")
    for file in files:
        shutil.copy(file, folder)
    merge(folder, "-o", table, "--append")
    merge(folder, "-o", tmp_path / "whole.parquet")
    whole = rt.read_spans(tmp_path / "whole.parquet")
    assert rt.read_spans(table).equals(whole)
    before = table.read_bytes(), table.stat().st_ino
    assert "nothing new" in merge(folder, "-o", table, "--append").output
    assert (table.read_bytes(), table.stat().st_ino) == before


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted((SAMPLES / "map_reduce-stock" / "spans").iterdir())
    table = tmp_path / "t.parquet"
    merge(*files[:-1], "-o", table)
    read: list[str] = []
    real = span_json.read_blocks

    def noting(file, *arguments):  # type: ignore[no-untyped-def]
        read.append(file.path.name)
        return real(file, *arguments)

    monkeypatch.setattr(span_json, "read_blocks", noting)
    merge(*files, "-o", table, "--append")
    assert read == [files[-1].name]
    assert rt.read_spans(table).equals(rt.read_spans(*files))


def test_a_table_that_does_not_know_its_files_is_not_added_to(tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    rt.write_table(rt.read_spans(SAMPLES / "nested-ours" / "spans"), table)
    before = table.read_bytes()
    done = CliRunner().invoke(app, ["merge", str(SAMPLES), "-o", str(table), "--append"])
    assert isinstance(done.exception, UsageError)
    assert "merge once without --append" in str(done.exception)
    assert table.read_bytes() == before


def test_what_was_read_stays_though_its_file_has_gone(tmp_path: Path) -> None:
    folder, table = tmp_path / "spans", tmp_path / "t.parquet"
    shutil.copytree(SAMPLES / "nested-ours" / "spans", folder)
    merge(folder, "-o", table)
    before = pl.read_parquet(table)
    for file in folder.iterdir():
        file.unlink()
    shutil.copy(next((SAMPLES / "map_reduce-stock" / "spans").iterdir()), folder)
    merge(folder, "-o", table, "--append")
    assert pl.read_parquet(table).join(before, on=["trace_id", "span_id"], how="semi").height == before.height
