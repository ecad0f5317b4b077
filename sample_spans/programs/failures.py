"""What goes wrong: an exception, a task whose argument failed, attempts that fail, a worker that is killed.

What decides its time: `parse`, for whose exception the driver waits before it goes on; then `convert`,
whose worker is killed at its end and which runs again in another one; then `publish`. Meanwhile
`download` fails twice and succeeds at the third attempt, which is over before.
"""

import os
import signal
import time

import ray
from truth import Body, Mark, body, cluster, find, mark

EXPECTED = ["parse", "convert 0", "convert 1", "publish"]


def attempt() -> int:
    number: int = ray.get_runtime_context().worker.core_worker.get_current_task_attempt_number()
    return number


@ray.remote
def parse(text: str) -> int:
    with body("__main__.parse", "parse"):
        time.sleep(0.15)
        return int(text)


@ray.remote
def use(number: int) -> int:
    with body("__main__.use", "use"):
        return number


@ray.remote(max_retries=3, retry_exceptions=True)
def download() -> str:
    with body("__main__.download", f"download {attempt()}"):
        time.sleep(0.12)
        if attempt() < 2:
            raise ConnectionError("no answer")
    return "data"


@ray.remote(max_retries=2)
def convert() -> str:
    with body("__main__.convert", f"convert {attempt()}"):
        time.sleep(1.8)
        if attempt() == 0:
            mark("killed")
            os.kill(os.getpid(), signal.SIGKILL)
    return "converted"


@ray.remote
def publish(raw: str, converted: str) -> str:
    with body("__main__.publish", "publish"):
        time.sleep(0.1)
    return raw + converted


def main() -> None:
    with cluster():
        mark("submit_start")
        failed = parse.remote("seven")
        never = use.remote(failed)
        for name, result in (("parse", failed), ("use", never)):
            mark("get_start", what=name)
            try:
                ray.get(result)
            except ray.exceptions.RayTaskError as error:
                mark("get_end", what=name, error=type(error).__name__)
        published = publish.remote(download.remote(), convert.remote())
        mark("get_start", what="publish")
        ray.get(published)
        mark("get_end", what="publish")


def chain(bodies: list[Body], marks: list[Mark]) -> list[Body]:
    """From publish back: of its arguments the later one with all attempts; before them parse, awaited first.

    Unless the last attempt had to wait for the other task's worker: then that one comes before it.
    """
    arguments = (attempts(bodies, "download"), attempts(bodies, "convert"))
    earlier, later = sorted(arguments, key=lambda found: found[-1]["end_ns"])
    if 0 <= later[-1]["start_ns"] - earlier[-1]["end_ns"] <= 100_000_000:
        later = [*earlier, later[-1]]
    return [find(bodies, "parse"), *later, find(bodies, "publish")]


def attempts(bodies: list[Body], function: str) -> list[Body]:
    """All attempts of a task, oldest first."""
    return [b for b in bodies if b["function"] == f"__main__.{function}"]


if __name__ == "__main__":
    main()
