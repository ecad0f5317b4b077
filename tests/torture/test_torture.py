"""Every kind of kill, a few times each; `make torture` tries them often."""

import random
import signal
from pathlib import Path

import pytest

from tests.torture import clusters, merges, processes, soak
from tests.torture.figures import Figure


def holds(figure: Figure | None) -> None:
    if figure is None:
        pytest.skip("this machine does not let us try it")
    assert figure.wrong == [] and figure.tries
    assert figure.found + figure.told >= figure.expected > 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def test_a_merge_killed_at_steps_of_its_writing(folder: Path) -> None:
    holds(merges.killed_at_each_step(folder, 4))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed(folder: Path, number: signal.Signals) -> None:
    holds(processes.killed(folder, 1, random.Random(1), number, "in_threads"))


def test_a_process_that_exits(folder: Path) -> None:
    holds(processes.exits(folder, 1, random.Random(1)))


def test_forks_among_threads(folder: Path) -> None:
    holds(processes.forks(folder, 1))


def test_processes_at_once_on_one_directory(folder: Path) -> None:
    holds(processes.many_at_once(folder, 6))


def test_no_room_and_room_again(folder: Path) -> None:
    holds(processes.size_limit(folder, 1))


@pytest.mark.slow
def test_a_disk_that_is_full_and_has_room_again() -> None:
    holds(processes.full_disk(1))


@pytest.mark.slow
def test_pid_namespaces(folder: Path) -> None:
    holds(processes.namespaces(folder, 1))


@pytest.mark.slow
def test_merges_killed_at_random_times_and_two_at_once(folder: Path) -> None:
    (folder / "random").mkdir()
    (folder / "two").mkdir()
    holds(merges.killed_at_random(folder / "random", 5, random.Random(1)))
    holds(merges.two_at_once(folder / "two", 2))


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("how", clusters.WAYS)
def test_a_cluster_of_which_something_is_killed(folder: Path, how: str) -> None:
    holds(clusters.killed(folder, how, 1))


@pytest.mark.slow
@pytest.mark.ray
def test_a_program_that_is_interrupted_while_its_disk_fills(folder: Path) -> None:
    holds(soak.soaked(folder, 20))
