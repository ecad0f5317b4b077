"""`python -m tests.dependencies licences|sbom|lowest|pins|weaknesses`: what is installed, and what is known of it."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_OURS = ("raytrace-analyze", "raytrace-hook")
_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*(?:>=\s*([\w.]+))?")
_LONGEST = 60


def needed() -> dict[str, metadata.Distribution]:
    """Find what an installation without extras takes along, by name, ours first."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(_OURS)
    while waiting:
        name = _plain(waiting.pop(0))
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform or Python
        waiting += [_name(each) for each in found[name].requires or () if "extra ==" not in each]
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _name(requirement: str) -> str:
    match = _REQUIREMENT.match(requirement)
    assert match is not None
    return match[1]


def licence(distribution: metadata.Distribution) -> str:
    """Tell a package's licence: by its own word, else its classifiers; `unknown` where it says nothing."""
    about: Any = distribution.metadata
    told = about.get("License-Expression") or about.get("License") or ""
    if told and len(told) <= _LONGEST and "\n" not in told:
        return str(told)
    named = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or () if each.startswith("License")]
    return ", ".join(named) or "unknown"


def lowest() -> Iterator[str]:
    """Give the lower bounds of both packages as constraints."""
    for file in (ROOT / "pyproject.toml", ROOT / "hook" / "pyproject.toml"):
        for requirement in tomllib.loads(file.read_text())["project"]["dependencies"]:
            match = _REQUIREMENT.match(requirement)
            assert match is not None and match[2], f"{requirement} has no lower bound"
            yield f"{match[1]}=={match[2]}"


def bill() -> dict[str, Any]:
    """Give the bill of materials, as CycloneDX has it."""
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{each.version}",
            "name": name,
            "version": each.version,
            "purl": f"pkg:pypi/{name}@{each.version}",
            "licenses": [{"license": {"name": licence(each)}}],
        }
        for name, each in sorted(needed().items())
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}


def weaknesses(found: dict[str, Any]) -> Iterator[str]:
    """Say what pip-audit found (its JSON): weaknesses, and what it could not ask about, which is no clean bill."""
    told = [each for each in found["dependencies"] if "vulns" in each]
    for package in told:
        for each in package["vulns"]:
            fixed = ", ".join(each["fix_versions"]) or "none yet"
            yield f"WEAK: {package['name']} {package['version']}: {each['id']}; mended in {fixed}"
    unknown = [each["name"] for each in found["dependencies"] if "vulns" not in each]
    yield f"{len(told)} packages were asked about"
    if unknown:
        yield f"NOT CHECKED, the registry here tells nothing of {len(unknown)}: {', '.join(unknown)}"


def main() -> None:
    """Print what was asked for."""
    match sys.argv[1:]:
        case ["licences"]:
            for name, each in sorted(needed().items()):
                print(f"{name:32} {each.version:12} {licence(each)}")
        case ["sbom"]:
            json.dump(bill(), sys.stdout, indent=1)
        case ["lowest"]:
            print("\n".join(lowest()))
        case ["pins"]:
            print("\n".join(f"{name}=={each.version}" for name, each in sorted(needed().items()) if name not in _OURS))
        case ["weaknesses"]:
            lines = list(weaknesses(json.load(sys.stdin)))
            print("\n".join(lines))
            sys.exit(any(line.startswith("WEAK") for line in lines))
        case _:
            sys.exit(__doc__)


main()
