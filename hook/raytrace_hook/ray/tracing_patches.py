"""Where Ray's own tracing is patched: what it puts around submissions and runs, and the context that goes along."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any, Callable

from raytrace_hook.log import warn_once
from raytrace_hook.ray import tracebacks
from raytrace_hook.ray.internals import load
from raytrace_hook.ray.patching import Overlay, Wrapper, patched, replace_attribute

Submission = Callable[..., Any]
CONTEXT = sys.intern("_ray_trace_ctx")
"""The argument that Ray's tracing adds to calls, as the code that does so has it: one object."""
TRACED_FUNCTION, TRACED_METHOD = "_function_with_tracing", "_resume_span"
"""What Ray's tracing names the functions that it puts around a task's, and around a method."""
_TRACING = "ray.util.tracing.tracing_helper"
_MANAGER = "ray._private.function_manager"
_MOST_FUNCTIONS = 10_000
_DOES = frozenset(
    (
        "CONSUMER", "PRODUCER", "SpanKind", "_DictPropagator", "__class__", "__module__", "__name__",
        "__ray_metadata__", "_actor", "_actor_hydrate_span_args", "_actor_ref", "_actor_span_consumer_name",
        "_actor_span_producer_name", "_function_hydrate_span_args", "_function_name", "_function_span_consumer_name",
        "_function_span_producer_name", "_get_actor_id_hex", "_get_opentelemetry", "_is_cross_language",
        "_is_tracing_enabled", "_method_name", "_opentelemetry", "_ray_actor_creation_function_descriptor",
        "_ray_actor_id", "_ray_is_cross_language", "_use_context", "class_name", "extract", "get_tracer", "hex",
        "inject_current_context", "set_attribute", "start_as_current_span", "trace",
    )
)  # fmt: skip
"""All that Ray's tracing uses in what it puts around a submission or a run, in the versions that were looked at."""


@patched("task ids and dependencies of submissions")
def patch_submissions(wrap: Callable[[Submission, str], Submission]) -> None:
    """Wrap what submits a task, a method and an actor's creation, inside the PRODUCER span that Ray makes for it."""
    helper = load(_TRACING)
    wrap_auto_init = load("ray._private.auto_init_hook").wrap_auto_init
    for owner, kind, trace in (
        (load("ray.remote_function").RemoteFunction, "task", helper._tracing_task_invocation),
        (load("ray.actor").ActorMethod, "method", helper._tracing_actor_method_invocation),
        (load("ray.actor").ActorClass, "create", helper._tracing_actor_creation),
    ):
        if not hasattr(owner._remote, "_raytrace_original"):
            outer = wrap_auto_init(trace(wrap(inspect.unwrap(owner._remote), kind)))
            outer._raytrace_original = owner._remote
            owner._remote = outer


@patched("submissions traced at less than their price")
def patch_tracing_of_submissions(make: Callable[[Any], tuple[Callable[[Submission], Submission], ...]]) -> None:
    """Replace what Ray's tracing puts around a submission of a task, of a method and of an actor's creation.

    `make` gets the module of Ray's tracing. It holds for the patch of submissions that follows. Nothing is replaced
    where Ray's does more than was known.
    """
    helper = load(_TRACING)
    traced = ("_tracing_task_invocation", "_tracing_actor_method_invocation", "_tracing_actor_creation")
    inner = ("_invocation_remote_span", "_start_span", "_invocation_actor_class_remote_span")
    for function, name in zip(traced, inner):
        does_as_known(getattr(helper, function), name)
    for function, decorator in zip(traced, make(helper)):
        setattr(helper, function, functools.wraps(getattr(helper, function))(decorator))


@patched("the context of calls written and read at less than its price")
def patch_propagation(writing: Wrapper, reading: Wrapper) -> None:
    """Wrap what makes a dictionary of the present context, and a context of one: before any other patch of these."""
    propagator = load(_TRACING)._DictPropagator
    for name, wrapper in (("inject_current_context", writing), ("extract", reading)):
        original = getattr(propagator, name)
        if not hasattr(original, "_raytrace_plain"):
            replacement = functools.wraps(original)(wrapper(original))
            replacement._raytrace_plain = original  # type: ignore[attr-defined] # the mark that it was made
            setattr(propagator, name, staticmethod(replacement))


def does_as_known(decorator: Any, name: str) -> None:
    """Raise TypeError unless the functions of that name in it use what Ray's tracing was seen to use, and no more."""
    found = list(_codes(inspect.unwrap(decorator).__code__, name))
    if not found or any(not _DOES.issuperset(code.co_names) for code in found):
        raise TypeError(f"{name} is not as expected")


def _codes(code: CodeType, name: str) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_name == name:
                yield constant
            yield from _codes(constant, name)


@patched("runs traced at less than their price")
def can_replace_runs() -> None:
    """Find out whether what Ray's tracing puts around runs can be replaced; nothing is changed."""
    helper = load(_TRACING)
    for name in ("_DictPropagator", "_function_span_consumer_name", "_actor_span_consumer_name"):
        getattr(helper, name)
    does_as_known(helper._inject_tracing_into_function, TRACED_FUNCTION)
    does_as_known(helper._inject_tracing_into_class, TRACED_METHOD)


@patched("spans of generator functions, and runs traced at less than their price")
def patch_functions(wrap: Callable[[Callable[..., Any]], Callable[..., Any] | None]) -> None:
    """In a worker, let functions be run in another form: `wrap` gets what Ray's tracing was put around.

    What it returns is run in place of that and of Ray's tracing, which stays where it returns None.
    """
    known: dict[int, tuple[Any, Any]] = {}

    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def get_execution_info(self: Any, *arguments: Any, **keywords: Any) -> Any:
            info = original(self, *arguments, **keywords)
            seen = known.get(id(info))
            if seen is not None and seen[0] is info:
                return seen[1]
            try:
                made = wrap(info.function.__wrapped__) if is_traced(info.function, TRACED_FUNCTION) else None
            except Exception as error:
                warn_once("a function is traced by Ray alone", error)
                made = None
            replaced = info if made is None else info._replace(function=made)
            if len(known) >= _MOST_FUNCTIONS:
                known.clear()
            known[id(info)] = info, replaced
            return replaced

        return get_execution_info

    replace_attribute(load(_MANAGER).FunctionActorManager, "get_execution_info", wrapper)


def is_traced(function: Any, name: str) -> bool:
    """Tell whether this is what Ray's tracing puts, under that name, around a function or method."""
    code = getattr(function, "__code__", None)
    return (
        code is not None and code.co_name == name and CONTEXT in code.co_varnames and hasattr(function, "__wrapped__")
    )


@patched("the job that a shared actor is called by")
def patch_extract(wrapper: Wrapper) -> None:
    """In a worker, wrap what makes a context of what came with a call."""
    replace_attribute(load(_TRACING)._DictPropagator, "extract", wrapper)


def extracted(carrier: Any) -> Any:
    """In a worker, make a context of what came with a call, as Ray does: with all that wraps that."""
    return load(_TRACING)._DictPropagator.extract(carrier)


@patched("the turns of an actor's methods")
def patch_context(wrapper: Wrapper) -> None:
    """In a worker, wrap what reads the trace context that comes with a call."""
    propagator = load(_TRACING)._DictPropagator
    propagator.extract = staticmethod(functools.wraps(propagator.extract)(wrapper(propagator.extract)))


@patched("errors without a text")
def patch_use_span(wrapper: Wrapper) -> None:
    """In a worker, wrap what OpenTelemetry puts around the body of a span."""
    sdk = load("opentelemetry.sdk.trace")
    original = sdk.trace_api
    if not hasattr(original, "_raytrace_original"):
        use_span = wrapper(original.use_span)
        sdk.trace_api = Overlay(original, use_span=use_span, _raytrace_original=original)


@patched("spans of actors' generator methods, and what asynchronous ones wait for")
def patch_methods(wrap: Callable[[Callable[..., Any], str], Callable[..., Any]]) -> None:
    """In a worker, wrap the methods of the actor's class, each with its name."""

    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def make_executor(self: Any, name: str, method: Callable[..., Any], *more: Any, **keywords: Any) -> Any:
            return original(self, name, wrap(method, name), *more, **keywords)

        return make_executor

    replace_attribute(load(_MANAGER).FunctionActorManager, "_make_actor_method_executor", wrapper)


@patched("errors that read as without tracing")
def patch_error_texts(wrapper: Wrapper) -> None:
    """In a worker, wrap what makes the text of a task's traceback ready to be shown elsewhere."""
    replace_attribute(load("ray._private.utils"), "format_error_message", wrapper)


@patched("running untraced")
def patch_untraced_worker() -> None:
    """In a worker that can't trace, run traced functions as they were written: Ray's own wrapper would fail."""

    def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*arguments: Any, _ray_trace_ctx: Any = None, **keywords: Any) -> Any:
            return function(*arguments, **keywords)

        return run

    def of_function(original: Callable[..., Any]) -> Callable[..., Any]:
        def get_execution_info(self: Any, *arguments: Any, **keywords: Any) -> Any:
            info = original(self, *arguments, **keywords)
            if getattr(getattr(info.function, "__code__", None), "co_name", "") == TRACED_FUNCTION:
                return info._replace(function=untraced(info.function.__wrapped__))
            return info

        return get_execution_info

    manager = load(_MANAGER).FunctionActorManager
    replace_attribute(manager, "get_execution_info", of_function)
    patch_error_texts(tracebacks.formatting)
    patch_methods(lambda method, name: untraced_generator(method) if is_generator(method) else method)


def untraced_generator(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same generator method, taking Ray's trace context for nothing."""

    @functools.wraps(method)
    def run(*arguments: Any, _ray_trace_ctx: Any = None, **keywords: Any) -> Any:
        return (yield from method(*arguments, **keywords))

    @functools.wraps(method)
    async def run_async(*arguments: Any, _ray_trace_ctx: Any = None, **keywords: Any) -> Any:
        async for item in method(*arguments, **keywords):
            yield item

    return run_async if inspect.isasyncgenfunction(inspect.unwrap(method)) else run


def is_generator(function: Any) -> bool:
    """Tell whether calling this makes a generator, plain or asynchronous."""
    inner = inspect.unwrap(function)
    return inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)
