"""Makes the captures anew: real Ray programs, each traced by one hook, with what truly happened.

    python sample_spans/capture.py                       # all of them
    python sample_spans/capture.py --only map_reduce     # those of one program
    python sample_spans/capture.py --hook ours           # those of one hook
    python sample_spans/capture.py --only nested-doc --to /tmp/elsewhere

Needs Ray and the hook installed. Nothing in /tmp/spans is read or written. A run whose story did not come
out as the program intends (a very busy machine) is repeated.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import check

HERE = Path(__file__).resolve().parent
HOOKS = {
    "ours": ("raytrace_hook:setup_tracing", "this project's hook: newline-delimited JSON and its side files"),
    "stock": (
        "capture_hooks:stock",
        "Ray's own setup_local_tmp_tracing: /tmp/spans/<pid>.txt, one JSON object a line",
    ),
    "doc": (
        "capture_hooks:doc",
        'the documentation\'s: /tmp/spans/<pid>.json, opened with "w", pretty-printed',
    ),
    "doc-old": (
        "capture_hooks:doc_old",
        'the documentation\'s old form: /tmp/spans_file<pid>.json, opened with "a", pretty-printed',
    ),
}
CAPTURES = {
    "map_reduce": ("stock", "doc-old", "ours"),
    "nested": ("doc", "ours"),
    "actor_pipeline": ("doc-old", "ours"),
    "failures": ("stock", "ours"),
    "custom_spans": ("doc", "ours"),
    "wait_loop": ("stock", "ours"),
}
ATTEMPTS = 8
TIMEOUT_S = 180
BACK_TO_BACK_NS = 50_000_000
PACKAGES = ("ray", "opentelemetry-sdk", "raytrace-hook")


class StoryDiffersError(Exception):
    """The run did not go as the program intends."""


@dataclass(frozen=True)
class Workplace:
    """The folders of one run, all in a temporary one."""

    root: Path

    @property
    def app(self) -> Path:
        """The program, and the module it runs beside."""
        return self.root / "app"

    @property
    def spans(self) -> Path:
        """Where the hook writes."""
        return self.root / "spans"

    @property
    def truth(self) -> Path:
        """Where the program writes what it measures."""
        return self.root / "truth"

    @property
    def ray(self) -> Path:
        """Ray's own sessions and logs."""
        return self.root / "ray"

    def prepare(self) -> None:
        """Copies the programs and makes the folders."""
        for folder in (self.app, self.spans, self.truth):
            folder.mkdir()
        for source in (*HERE.glob("programs/*.py"), *HERE.glob("hooks/*.py")):
            shutil.copy(source, self.app)

    def environment(self, hook: str) -> dict[str, str]:
        """What the program and the hooks read."""
        return os.environ | {
            "PYTHONPATH": str(self.app),
            "PYTHONWARNINGS": "ignore",
            "CAPTURE_HOOK": HOOKS[hook][0],
            "CAPTURE_RAY_DIR": str(self.ray),
            "TRUTH_DIR": str(self.truth),
            "SPANS_DIR": str(self.spans),
            "RAYTRACE_DIR": str(self.spans),
        }


def capture(program: str, hook: str, target: Path) -> None:
    """Runs one program with one hook and writes the folder, once the run is what it should be."""
    spans_folder = Path("/tmp/spans")
    was_there = spans_folder.exists()
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="capture-", dir="/tmp", ignore_cleanup_errors=True) as root:
            try:
                _capture_once(program, hook, target, Workplace(Path(root)))
                break
            except StoryDiffersError as differs:
                print(f"{program}-{hook}, attempt {attempt}: {differs}", file=sys.stderr)
                if attempt == ATTEMPTS:
                    raise
    if not was_there and spans_folder.exists() and not any(spans_folder.iterdir()):
        spans_folder.rmdir()  # Ray's own hook makes it even where it then writes elsewhere


def _capture_once(program: str, hook: str, target: Path, place: Workplace) -> None:
    place.prepare()
    finished = subprocess.run(
        [sys.executable, f"{program}.py"],
        cwd=place.app,
        env=place.environment(hook),
        timeout=TIMEOUT_S,
        check=False,
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        raise StoryDiffersError(f"the program ended with {finished.returncode}\n{finished.stderr[-2000:]}")
    truth = measured(program, hook, place)
    folder = place.root / f"{program}-{hook}"
    (folder / "spans").mkdir(parents=True)
    words = neutral_words(place, truth.pop("node_ip"))
    for source in sorted(place.spans.iterdir()):
        name = source.name.replace(f"-{_in_file_name(socket.gethostname())}-", "-host_a-")
        rewrite = neutral_slots if source.suffix == ".open" else neutral
        (folder / "spans" / name).write_bytes(rewrite(source.read_bytes(), words))
    _name_spans(truth, check.read_spans(folder / "spans"))
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    (folder / "README.md").write_text(readme(truth))
    if wrong := list(check.problems(folder)):
        raise StoryDiffersError("; ".join(wrong))
    shutil.rmtree(target / folder.name, ignore_errors=True)
    shutil.copytree(folder, target / folder.name)


def _in_file_name(host: str) -> str:
    """How our hook writes the name of a host into the name of a file."""
    return re.sub(r"[^A-Za-z0-9.]", "_", host)[:64]


def measured(program: str, hook: str, place: Workplace) -> dict[str, Any]:
    """What the program wrote down, and the chain that follows from it."""
    module = importlib.import_module(program)
    bodies, marks = importlib.import_module("truth").read(place.truth)
    chain = module.chain(bodies, marks)
    expected = iter([body["key"] for body in chain])
    if not all(key in expected for key in module.EXPECTED):  # in this order, others between them
        raise StoryDiffersError(f"the chain is {[body['key'] for body in chain]}, not {module.EXPECTED}")
    if hasattr(module, "is_clear") and not module.is_clear(bodies, marks, chain):
        raise StoryDiffersError(
            "two tasks ended too near to each other for the chain to be clear, or the machine was too busy"
        )
    node_ip = next(mark.pop("node_ip") for mark in marks if "node_ip" in mark)
    return {
        "program": program,
        "hook": hook,
        "versions": {"python": platform.python_version()} | _versions(hook),
        "clock": "time.time_ns on one host; a body is measured inside its task, the span is a little longer",
        "story": (module.__doc__ or "").strip(),
        "must_name": module.EXPECTED,
        "driver_pid": marks[0]["pid"],
        "driver_and_get_marks": marks,
        "task_bodies": bodies,
        "measured_chain": {
            "note": module.chain.__doc__.partition("\n")[0],
            "bodies": chain,
            "slot_note": "ran in the same worker right before one of the chain: a path may name them too",
            "slot_before": slot_before(chain, bodies),
        },
        "node_ip": node_ip,
    }


def slot_before(chain: list[check.Body], bodies: list[check.Body]) -> list[check.Body]:
    """The tasks off the chain that ran right before one on it in the same worker: they held its slot."""
    found: list[check.Body] = []
    tasks = [body for body in bodies if body["kind"] == "task"]
    for body in chain:
        current: check.Body | None = body if body["kind"] == "task" else None
        while current:
            current = next((task for task in tasks if _is_right_before(task, current)), None)
            if current in chain or current in found:
                break
            found += [current] if current else []
    return sorted(found, key=lambda body: body["start_ns"])


def _is_right_before(task: check.Body, body: check.Body) -> bool:
    gap_ns = body["start_ns"] - task["end_ns"]
    return task is not body and task["pid"] == body["pid"] and 0 <= gap_ns <= BACK_TO_BACK_NS


def _versions(hook: str) -> dict[str, str]:
    packages = PACKAGES if hook == "ours" else PACKAGES[:-1]
    return {package: importlib.metadata.version(package) for package in packages}


def _name_spans(truth: dict[str, Any], spans: list[check.Span]) -> None:
    """Notes for every body which span is around it: null where it was killed and left none."""
    for body in truth["task_bodies"]:
        span = check.span_of(body, spans)
        body["span_id"] = span and span["context"]["span_id"].removeprefix("0x")
    truth["must_name"] = [
        {field: body[field] for field in ("function", "key", "span_id")}
        for body in sorted(truth["measured_chain"]["bodies"], key=lambda body: body["end_ns"])
        if body["key"] in truth["must_name"] and body["span_id"]
    ]


def neutral_words(place: Workplace, node_ip: str) -> dict[str, str]:
    """What this machine calls things, and what stands for it in the captures."""
    words = {
        str(place.app): "/home/user/app",
        str(place.spans): "/home/user/spans",
        str(place.ray): "/tmp/ray",
        sys.prefix: "/home/user/venv",
        sys.base_prefix: "/usr",
        node_ip: "10.0.0.1",
        socket.gethostname(): "host-a",
        socket.getfqdn(): "host-a",
    }
    if hook := importlib.util.find_spec("raytrace_hook"):
        installed = Path(str(hook.origin)).parent.parent
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        words[str(installed)] = f"/home/user/venv/lib/{version}/site-packages"
    return {word: words[word] for word in sorted(words, key=len, reverse=True)}


def neutral(content: bytes, words: dict[str, str]) -> bytes:
    """The bytes of a file with those words replaced, else untouched."""
    for word, replacement in words.items():
        pattern = rb"(?<![\w.-])" + re.escape(word.encode()) + rb"(?![\w-]|\.\w)"
        content = re.sub(pattern, replacement.encode(), content)
    return content


def neutral_slots(content: bytes, words: dict[str, str]) -> bytes:
    """The same for a file of open spans, whose lines keep their length: their padding gives way."""
    rewritten = []
    for line in content.split(b"\n"):
        changed = neutral(line, words)
        fitted = line if changed == line else changed.rstrip(b" ").ljust(len(line))
        if len(fitted) != len(line):
            raise ValueError("a line of open spans has no room for the neutral names")
        rewritten.append(fitted)
    return b"\n".join(rewritten)


def readme(truth: dict[str, Any]) -> str:
    """One paragraph for people: the program, the hook, what truly happened, the chain, the traps."""
    versions = ", ".join(f"{name} {version}" for name, version in truth["versions"].items())
    chain = "\n".join(_chain_lines(truth))
    return (
        f"# {truth['program']}, {truth['hook']}\n\n{truth['story']}\n\n"
        f"Program: `../programs/{truth['program']}.py`. Hook: {HOOKS[truth['hook']][1]}. "
        f"Versions: {versions}.\n"
        f"{' '.join(_traps(truth))}\n\n"
        f"The true chain, measured inside the tasks (seconds since the first submit):\n\n{chain}\n"
    )


def _submit_start_ns(truth: dict[str, Any]) -> int:
    marks = truth["driver_and_get_marks"]
    return int(next(mark["t_ns"] for mark in marks if mark["name"].startswith("submit")))


def _chain_lines(truth: dict[str, Any]) -> Iterator[str]:
    zero_ns = _submit_start_ns(truth)
    yield "| body | key | start | end | process |"
    yield "|---|---|---|---|---|"
    for body in truth["measured_chain"]["bodies"]:
        start, end = ((body[field] - zero_ns) / 1e9 for field in ("start_ns", "end_ns"))
        killed = " (killed)" if body["error"] == "killed" else ""
        yield f"| `{body['function']}`{killed} | {body['key']} | {start:.3f} | {end:.3f} | {body['pid']} |"


def _traps(truth: dict[str, Any]) -> Iterator[str]:
    """What may mislead a reader of these spans."""
    tasks = [body for body in truth["task_bodies"] if body["kind"] == "task"]
    late = (tasks[0]["start_ns"] - _submit_start_ns(truth)) / 1e9
    yield f"The first task starts {late:.1f} s after it was submitted: a new worker had to load the code."
    off_chain = [body for body in tasks if body not in truth["measured_chain"]["bodies"]]
    yield f"{len(tasks)} task bodies were measured, {len(off_chain)} of them are not on the chain."
    if before := truth["measured_chain"]["slot_before"]:
        held = ", ".join(f"`{body['function'].removeprefix('__main__.')}` {body['key']}" for body in before)
        yield f"Right before bodies of the chain, in the same worker, ran {held}."
    if killed := [body for body in tasks if body["error"] == "killed"]:
        yield f"{len(killed)} attempt was killed: it has no span that ended."
    if truth["hook"] != "ours":
        yield "These spans tell nothing of gets, waits and dependencies: the chain can only be inferred."


def main() -> None:
    """Makes the captures that were asked for."""
    parser = argparse.ArgumentParser(description="Make the captures anew.")
    parser.add_argument("--only", metavar="NAME", help="a program, or a capture as program-hook")
    parser.add_argument("--hook", choices=HOOKS, help="only this hook")
    parser.add_argument("--to", metavar="DIR", type=Path, default=HERE, help="where to; default: beside this script")
    arguments = parser.parse_args()
    sys.path.insert(0, str(HERE / "programs"))
    asked = [
        (program, hook)
        for program, hooks in CAPTURES.items()
        for hook in (HOOKS if arguments.hook and arguments.only == program else hooks)
        if arguments.hook in (None, hook) and arguments.only in (None, program, f"{program}-{hook}")
    ]
    if not asked:
        parser.error("there is no such capture")
    for program, hook in asked:
        capture(program, hook, arguments.to)
        print(f"{program}-{hook}", flush=True)


if __name__ == "__main__":
    main()
