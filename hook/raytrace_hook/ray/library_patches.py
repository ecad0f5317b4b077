"""Where Ray's training libraries are patched, as `patches` does it for Ray itself; each module when it is loaded."""

from __future__ import annotations

from typing import Any

from raytrace_hook.ray.internals import load
from raytrace_hook.ray.patching import Wrapper, patched, replace_attribute

GRAPHS = "ray.dag.compiled_dag_node"
TRAIN_THREAD = "ray.train.v2._internal.execution.worker_group.thread_runner"
TRAIN_CONTEXT = "ray.train.v2._internal.execution.context"
TRAIN_GROUP = "ray.train.v2._internal.execution.worker_group.worker_group"
BATCHES = "ray.data._internal.block_batching.iter_batches"
SESSION = "ray.train._internal.session"
"""Of Tune's function trainables, and of Train before its second version."""
STORAGE = "ray.train._internal.storage"
TRAINABLE = "ray.tune.trainable.trainable"
TUNE_SEARCH = "ray.tune.search.search_generator"
TUNE_CALLBACKS = "ray.tune.callback"
TUNE_CONTROLLER = "ray.tune.execution.tune_controller"


def train_context() -> Any:
    """Return what Ray Train knows of the rank that this process is. Raises RuntimeError where it is none."""
    return load(TRAIN_CONTEXT).get_train_context()


@patched("the training functions of Ray Train", of_library=True)
def patch_train_thread(wrapper: Wrapper) -> None:
    """Wrap what runs a training function in a thread."""
    replace_attribute(load(TRAIN_THREAD).ThreadRunner, "run", wrapper)


@patched("the reports of Ray Train", of_library=True)
def patch_train_context(report: Wrapper, store: Wrapper) -> None:
    """Wrap what a rank reports with, and what brings its checkpoints to their storage."""
    context = load(TRAIN_CONTEXT).TrainContext
    replace_attribute(context, "report", report)
    replace_attribute(context, "_upload_checkpoint", store)


@patched("what Ray Train's controller waits for", of_library=True)
def patch_train_group(poll: Wrapper, end: Wrapper) -> None:
    """Wrap what asks the ranks how far they are, and what ends them."""
    group = load(TRAIN_GROUP).WorkerGroup
    replace_attribute(group, "poll_status", poll)
    for name in ("shutdown", "abort"):
        if hasattr(group, name):
            replace_attribute(group, name, end)


@patched("which tasks the batches of a dataset come from", of_library=True)
def patch_bundles(wrapper: Wrapper) -> None:
    """Wrap what makes batches of a dataset's blocks."""
    replace_attribute(load(BATCHES).BatchIterator, "_pipeline", wrapper)


@patched("waits for the batches of a dataset", of_library=True)
def patch_batches(wrapper: Wrapper) -> None:
    """Wrap where the next batch of a dataset is waited for."""
    replace_attribute(load(BATCHES).BatchIterator, "get_next_batch_context", wrapper)


@patched("the functions of Ray Tune's trials", of_library=True)
def patch_session(start: Wrapper, take: Wrapper, give: Wrapper) -> None:
    """Wrap what starts a session's function, what takes a result of it, and what gives one."""
    session = load(SESSION)._TrainSession
    replace_attribute(session, "start", start)
    replace_attribute(session, "get_next", take)
    replace_attribute(session, "_report_training_result", give)


@patched("the reports of Ray Train's first version", of_library=True)
def patch_session_report(wrapper: Wrapper) -> None:
    """Wrap what a session's function reports with."""
    replace_attribute(load(SESSION)._TrainSession, "report", wrapper)


@patched("the checkpoints of Ray Tune's trials", of_library=True)
def patch_storage(wrapper: Wrapper) -> None:
    """Wrap what brings a session's checkpoint to its storage."""
    replace_attribute(load(STORAGE).StorageContext, "persist_current_checkpoint", wrapper)


@patched("which trial of Ray Tune a run is of", of_library=True)
def patch_trainable(wrapper: Wrapper) -> None:
    """Wrap what computes a trial's next result."""
    replace_attribute(load(TRAINABLE).Trainable, "train", wrapper)


@patched("the trials of Ray Tune", of_library=True)
def patch_trials(schedule: Wrapper, suggest: Wrapper) -> None:
    """Wrap where a trial asks for its process, and where the search is asked for the next trial."""
    controller = load(TUNE_CONTROLLER).TuneController
    replace_attribute(controller, "_schedule_trial_actor", schedule)
    replace_attribute(controller, "_update_trial_queue", suggest)


@patched("the time in Ray Tune's schedulers and callbacks", of_library=True)
def patch_tune_sections(wrapper: Wrapper) -> None:
    """Wrap what Tune measures its own sections with, in its controller alone."""
    module = load(TUNE_CONTROLLER)
    replace_attribute(module, "warn_if_slow", wrapper)


@patched("what Ray Tune tells a search of trials that have ended", of_library=True)
def patch_tune_search(wrapper: Wrapper) -> None:
    """Wrap where the search is told that a trial has ended, which Tune does not measure itself."""
    replace_attribute(load(TUNE_SEARCH).SearchGenerator, "on_trial_complete", wrapper)


@patched("the time in Ray Tune's callbacks when trials start and end", of_library=True)
def patch_tune_callbacks(wrapper: Wrapper) -> None:
    """Wrap where callbacks are told what Tune does not measure itself."""
    callbacks = load(TUNE_CALLBACKS).CallbackList
    for name in ("on_trial_start", "on_trial_restore", "on_trial_complete", "on_trial_error", "on_checkpoint"):
        if hasattr(callbacks, name):
            replace_attribute(callbacks, name, wrapper)


@patched("steps of compiled graphs", of_library=True)
def patch_graphs(
    compiling: Wrapper, executing: Wrapper, executing_async: Wrapper, computing: Wrapper, looping: Wrapper
) -> None:
    """Wrap what compiles a graph, executes it (in asyncio, too), and runs a step, or all of them, on an actor."""
    module = load(GRAPHS)
    places = [
        (module.CompiledDAG, "_get_or_compile", compiling),
        (module.CompiledDAG, "execute", executing),
        (module.CompiledDAG, "execute_async", executing_async),
        (module.ExecutableTask, "_compute", computing),
        (module, "do_exec_tasks", looping),
    ]
    if hasattr(module, "do_profile_tasks"):
        places.append((module, "do_profile_tasks", looping))
    for owner, name, _ in places:  # all of them or none: steps that are submitted must be seen to run
        getattr(owner, name)
    for owner, name, wrapper in places:
        replace_attribute(owner, name, wrapper)
