"""Tasks that submit tasks and wait for them: `build` waits for three `package`, each waits for three files.

What decides its time: build, in it package 2, in it file 2.1, which takes ten times as long as the others.
"""

import time

import ray
from truth import Body, Mark, body, cluster, find, last, mark

SLOW = "2.1"
EXPECTED = ["all", 2, SLOW]


@ray.remote
def compile_file(key: str) -> str:
    with body("__main__.compile_file", key):
        time.sleep(1.5 if key == SLOW else 0.12)
    return key


@ray.remote
def package(key: int) -> int:
    with body("__main__.package", key):
        files = [compile_file.remote(f"{key}.{i}") for i in range(3)]
        mark("get_start", what=f"package {key}")
        built = ray.get(files)
        mark("get_end", what=f"package {key}")
        time.sleep(0.06)
    return len(built)


@ray.remote
def build() -> int:
    with body("__main__.build", "all"):
        packages = [package.remote(key) for key in range(3)]
        mark("get_start", what="build")
        sizes = ray.get(packages)
        mark("get_end", what="build")
        time.sleep(0.06)
    return sum(sizes)


def main() -> None:
    with cluster():
        mark("submit_start")
        result = build.remote()
        mark("get_start", what="driver")
        ray.get(result)
        mark("get_end", what="driver")


def chain(bodies: list[Body], marks: list[Mark]) -> list[Body]:
    """From the outside in: the package that ended last, and of its files the one that ended last."""
    slowest = last([b for b in bodies if b["function"] == "__main__.package"])
    files = [b for b in bodies if str(b["key"]).startswith(f"{slowest['key']}.")]
    return [find(bodies, "all"), slowest, last(files)]


if __name__ == "__main__":
    main()
