"""What would be published holds what it should, says where the project lives, and links to what is there."""

import re
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from tests.packages.building import PROJECTS, ROOT, build

HOME = str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Homepage"])
BESIDE = {
    "raytrace_analyze": {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO", "hatch_build.py"},
    "raytrace_hook": {"README.md", "LICENSE", "pyproject.toml", "PKG-INFO", "hatch_build.py"},
}
"""What is in a source archive besides the package: what is read, and what builds it."""


@pytest.fixture(scope="module", params=PROJECTS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    return request.param, *build(tmp_path_factory.mktemp("dist"), request.param)


def of_the_package(package: str) -> set[str]:
    """The files of a package in the repository."""
    folder = PROJECTS[package]
    found = (path for path in (folder / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)) for path in found}


def test_a_source_archive_holds_the_package_and_no_stray_file(built: tuple[str, Path, Path]) -> None:
    package, archive, _ = built
    with tarfile.open(archive) as files:
        inside = {name.partition("/")[2] for name in files.getnames()}
    assert inside == of_the_package(package) | BESIDE[package]


def test_a_wheel_holds_the_package_its_licence_and_nothing_else(built: tuple[str, Path, Path]) -> None:
    package, _, wheel = built
    with zipfile.ZipFile(wheel) as files:
        inside = {name for name in files.namelist() if ".dist-info/" not in name}
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in files.namelist())
    assert inside == of_the_package(package)


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(files.read(name).decode())


def test_links_of_the_description_lead_into_the_repository(built: tuple[str, Path, Path]) -> None:
    """A package index shows the README alone: what lies beside it in the repository is not there."""
    about = metadata(built[2])
    urls = [each.partition(", ")[2] for each in about.get_all("Project-URL", [])]
    links = re.findall(r"\]\(([^)\s]+)\)", str(about.get_payload()))
    assert {each.partition(", ")[0] for each in about.get_all("Project-URL", [])} >= {"Source", "Issues", "Changelog"}
    assert about["Description-Content-Type"] == "text/markdown"
    for url in (*urls, *links):
        assert url.startswith("https://"), url
        if place := re.fullmatch(re.escape(HOME) + r"/(?:blob|tree)/main/([^#]*)(?:#.*)?", url):
            assert (ROOT / place[1]).exists(), url
        elif "github.com" in url:
            assert url in (HOME, f"{HOME}/issues")


def test_the_pages_name_the_same_home() -> None:
    assert f"repo_url: {HOME}\n" in (ROOT / "mkdocs.yml").read_text()
