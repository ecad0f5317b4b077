"""Ray Train's and Tune's own code that runs training functions, without a cluster: what the hook makes of it."""

import logging
import tempfile
import threading
import time
from typing import Any

logging.basicConfig()

import ray.train._internal.session as sessions  # noqa: E402
import ray.train.v2._internal.execution.context as train_context  # noqa: E402
import ray.train.v2._internal.execution.worker_group.thread_runner as thread_runner  # noqa: E402
import raytrace_hook  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.trace import SpanKind  # noqa: E402
from ray.tune.callback import Callback, CallbackList  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402
from ray.tune.search.search_generator import SearchGenerator  # noqa: E402
from ray.tune.trainable.function_trainable import wrap_function  # noqa: E402
from ray.util.tracing import tracing_helper  # noqa: E402
from raytrace_hook.ray import actors, internals, library_patches  # noqa: E402
from raytrace_hook.record.libraries import thread_runs  # noqa: E402

tracing_helper._enable_tracing()
internals.is_driver = lambda: True
actors.own_actor_id = lambda: "ac" * 16
raytrace_hook.setup_tracing()
tracer = trace.get_tracer("program")


def objective(config: dict[str, Any]) -> None:
    for step in range(3):
        time.sleep(0.05)
        sessions.get_session().report({"loss": step})


def loop() -> None:
    time.sleep(0.02)


def failing() -> None:
    raise ValueError("boom")


class Storage:
    trial_working_directory = tempfile.mkdtemp()
    sync_config = None

    def persist_artifacts(self, force: bool = False) -> None:
        pass


class Trial:
    id, name, experiment_name = "8fc2e_00003", "objective_8fc2e_00003", "search"


class Place:
    world_rank, world_size = 1, 2


class Context:
    distributed_context = Place()

    def get_experiment_name(self) -> str:
        return "mnist"


def entrypoint(self: Any) -> Any:
    """What Tune gives the session to run."""

    def run() -> Any:
        return self._trainable_func({})

    run.__module__ = "ray.tune.trainable.function_trainable"
    return run


def trial() -> None:
    trainable = object.__new__(wrap_function(objective))
    sessions._TrainSession.get_current_ip = lambda session: setattr(session, "local_ip", "here")
    alone = (None,) * 5
    session = sessions._TrainSession(
        entrypoint(trainable),
        *alone,
        trial_info=Trial(),
        storage=Storage(),
        synchronous_result_reporting=True,
    )
    sessions._session = session
    with tracer.start_as_current_span("first"):
        session.start()
    results = []
    for number in range(4):
        with tracer.start_as_current_span(f"result {number}"):
            results.append(session.get_next().metrics.get("loss"))
        time.sleep(0.03)
    session.finish(timeout=5)
    print("RESULTS", results[:3])


def training() -> None:
    library_patches.train_context = Context
    for function in (loop, failing):
        runner = thread_runner.ThreadRunner()
        with tracer.start_as_current_span("run_train_fn"):
            runner.run(function)
        runner._thread.join()
        print("ERROR", repr(runner.get_error()).replace("\n", " "))


def reports() -> None:
    """A report of Train with all that it does left out: it raises as it would without the hook."""
    context = object.__new__(train_context.TrainContext)
    context.report_call_index = 4
    try:
        context.report({})
    except AttributeError as error:
        print("RAISED", type(error).__name__)


class SlowSearch(Searcher):
    def suggest(self, trial_id: str) -> None:
        pass

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        time.sleep(0.02)


class SlowCallback(Callback):
    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        time.sleep(0.02)


def telling() -> None:
    """A trial has ended: Tune tells the search and the callbacks, and measures neither."""
    SearchGenerator(SlowSearch()).on_trial_complete("8fc2e_00003")
    CallbackList([SlowCallback()]).on_trial_complete(iteration=0, trials=[], trial=None)


class Id:
    def hex(self) -> str:
        return "ca11" * 12


class Core:
    """What Ray tells of the actor's own call."""

    def get_current_task_id(self) -> Id:
        return Id()


def beside() -> None:
    """Another thread asks for something while the training function runs, and the actor answers a call of its own."""
    internals.core_worker = Core
    for processor in trace.get_tracer_provider()._active_span_processor._span_processors:
        processor.in_worker = True
    function = thread_runs.ThreadRun("__main__.beside", "f00d" * 12, {})
    function.enter()
    with tracer.start_as_current_span("poll_status ray.remote_worker", kind=SpanKind.CONSUMER):
        thread = threading.Thread(target=lambda: tracer.start_span("asked by a thread").end())
        thread.start()
        thread.join()
    function.end()


for part in (trial, training, reports, telling, beside):
    thread = threading.Thread(target=part)
    thread.start()
    thread.join()
with raytrace_hook.step(7):
    time.sleep(0.001)
