"""Reads Ray's task events from the cluster's head, without the dashboard."""

from __future__ import annotations

from typing import Any

from raytrace_hook.ray.internals import load

_USUAL_LIMIT = 100_000
_ANSWER_S = 5
CREATION = "ACTOR_CREATION_TASK"
_CREATES = "f" * 16
"""What the id of the task begins with that creates an actor; the rest is the actor's."""
_DEAD, _LET_GO = "ACTOR_DEAD", "ACTOR_LET_GO"
_NO_HANDLE = ("OUT_OF_SCOPE", "REF_DELETED")
_MILLISECOND_NS = 1_000_000
_OLD_STATES = {
    "pending_args_avail_ts": "PENDING_ARGS_AVAIL",
    "pending_node_assignment_ts": "PENDING_NODE_ASSIGNMENT",
    "submitted_to_worker_ts": "SUBMITTED_TO_WORKER",
    "running_ts": "RUNNING",
    "finished_ts": "FINISHED",
    "failed_ts": "FAILED",
}


def raw_task_events() -> list[Any]:
    """Return all task events of the cluster: encoded, or messages where Ray keeps them with the dashboard."""
    if is_with_dashboard():
        return list(load("ray._private.state").state._get_all_task_events())
    return list(_accessor().get_task_events())


def _accessor() -> Any:
    state = load("ray._private.state").state
    connect = getattr(state, "_connect_and_get_accessor", None)
    if connect is not None:
        return connect()
    state._check_connected()
    return state.global_state_accessor


def is_with_dashboard() -> bool:
    """Tell whether this version of Ray, as it is set, keeps task events with the dashboard instead of the head."""
    return bool(getattr(load("ray._private.state"), "_READ_TASK_EVENTS_FROM_DASHBOARD_HEAD", False))


def most_attempts() -> int:
    """Return how many attempts are kept in all; others are dropped."""
    limit = getattr(load("ray")._config, "task_events_max_num_task_in_gcs", None)
    return int(limit()) if limit is not None else _USUAL_LIMIT


def dropped() -> dict[str, int] | None:
    """Return how many attempts and profile events Ray has dropped so far; None where it can't be asked."""
    try:
        service, stubs = load("ray.core.generated.gcs_service_pb2"), load("ray.core.generated.gcs_service_pb2_grpc")
        address = load("ray")._private.worker.global_worker.gcs_client.address
        channel = load("ray._private.grpc_utils").init_grpc_channel(address)
        try:
            stub = stubs.TaskInfoGcsServiceStub(channel)
            reply = stub.GetTaskEvents(service.GetTaskEventsRequest(limit=1), timeout=_ANSWER_S)
        finally:
            channel.close()
        return {
            "attempts": int(reply.num_status_task_events_dropped),
            "profile_events": int(reply.num_profile_task_events_dropped),
        }
    except Exception:  # gRPC is not part of every Ray, and clusters may ask for a token
        return None


def attempts_of(raw: list[Any], job_id: str) -> list[dict[str, Any]]:
    """Return the attempts of one job as `.events` has them (see README)."""
    common_pb2, gcs_pb2 = load("ray.core.generated.common_pb2"), load("ray.core.generated.gcs_pb2")
    job = bytes.fromhex(job_id)
    found = []
    for one in raw:
        event = gcs_pb2.TaskEvents.FromString(one) if isinstance(one, bytes) else one
        if event.job_id == job and event.HasField("task_info"):
            found.append(_attempt(event, common_pb2))
    return found


def _attempt(event: Any, names: Any) -> dict[str, Any]:
    info, updates = event.task_info, event.state_updates
    return {
        "task_id": event.task_id.hex(),
        "attempt": event.attempt_number,
        "job_id": event.job_id.hex(),
        "type": names.TaskType.Name(info.type),
        "name": info.name or info.func_or_class_name,
        "parent_task_id": info.parent_task_id.hex() or None,
        "actor_id": info.actor_id.hex() or None,
        "node_id": updates.node_id.hex() or None,
        "worker_id": updates.worker_id.hex() or None,
        "pid": getattr(updates, "worker_pid", 0) or None,
        "resources": dict(info.required_resources),
        "states": _states(updates, names),
        "error": _error(updates, names),
        "profile": [
            {"name": part.event_name, "start_ns": part.start_time, "end_ns": part.end_time}
            for part in event.profile_events.events
        ],
    }


def _states(updates: Any, names: Any) -> dict[str, int]:
    if hasattr(updates, "state_ts_ns"):
        return {names.TaskStatus.Name(state): stamp for state, stamp in sorted(updates.state_ts_ns.items())}
    return {state: getattr(updates, field) for field, state in _OLD_STATES.items() if updates.HasField(field)}


def _error(updates: Any, names: Any) -> dict[str, str] | None:
    if not updates.HasField("error_info"):
        return None
    error = updates.error_info
    return {"type": names.ErrorType.Name(error.error_type), "message": error.error_message}


def actor_ends(job_id: str) -> dict[str, dict[str, int]]:
    """Return by id of the job's actors when they were over, as a state of their creation; nothing where Ray can't say.

    Of one that ended since nobody had a handle to it any more the state is another one.
    """
    try:
        gcs_pb2, common_pb2 = load("ray.core.generated.gcs_pb2"), load("ray.core.generated.common_pb2")
        job = load("ray").JobID.from_hex(job_id)
        found = {}
        for one in _accessor().get_actor_table(job, "DEAD"):
            actor = gcs_pb2.ActorTableData.FromString(one)
            if actor.end_time:
                state = _LET_GO if _was_let_go(actor, common_pb2) else _DEAD
                found[actor.actor_id.hex()] = {state: int(actor.end_time) * _MILLISECOND_NS}
        return found
    except Exception:  # not every version of Ray has such a table, or tells when and why
        return {}


def end_alone(job_id: str, actor_id: str, states: dict[str, int]) -> dict[str, Any]:
    """Return the end of an actor as what is known of its creation, where nothing else is."""
    nothing = dict.fromkeys(("name", "parent_task_id", "node_id", "worker_id", "pid", "error"))
    return {
        "task_id": _CREATES + actor_id,
        "attempt": 0,
        "job_id": job_id,
        "type": CREATION,
        "actor_id": actor_id,
        "resources": {},
        "states": states,
        "profile": [],
        **nothing,
    }


def _was_let_go(actor: Any, common_pb2: Any) -> bool:
    context = actor.death_cause.actor_died_error_context
    reasons = getattr(common_pb2.ActorDiedErrorContext, "Reason", None)
    return reasons is not None and reasons.Name(context.reason) in _NO_HANDLE
