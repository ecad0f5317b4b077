"""The names of what the hook writes: the one place for them. The analyser has its own; a test compares.

Ray's attributes keep Ray's names (`ray.task_id`, ...); resources have OpenTelemetry's where there is one.
"""

from __future__ import annotations

# The resource of a process.
RECORDS_WAITS = "raytrace.records_waits"
SESSION = "raytrace.session"
LOST_SPANS = "raytrace.lost_spans"
LOST_BECAUSE = "raytrace.lost_because"
NOT_RECORDED = "raytrace.not_recorded"
"""What of Ray's libraries its version has no place for."""
SAMPLER = "raytrace.sampler"
"""What decides which spans are kept; only where not all are."""

# A submission (PRODUCER).
SUBMITTED_TASK_ID = "raytrace.submitted_task_id"
DEPENDENCY_TASK_IDS = "raytrace.dependency_task_ids"
RESOURCES = "raytrace.resources"
PLACEMENT_RESOURCES = "raytrace.placement_resources"
"""Of an actor that holds no CPU: what has to be free for it to be placed, as JSON; `{}` for nothing."""

# A submission or a wait.
CALL_SITE = "raytrace.call_site"
"""Where in the program: `file:line` of the call, then of who called that, each on a line of its own."""
LIBRARY = "raytrace.library"
"""Which of Ray's libraries makes the call, where it is not the program itself."""

# A submission and a run.
TASK_NAME = "raytrace.task_name"
"""Only where the program (or a library, like Ray Data) named the task otherwise than the function."""

# Any span of an actor that several jobs share.
CALLER_JOB_ID = "raytrace.caller_job_id"
# A submission.
ARGUMENT_BYTES = "raytrace.argument_bytes"
PUT_ARGUMENTS = "raytrace.put_arguments"
"""How many of its arguments are references to objects that somebody put; left out where none is."""
CODE_BYTES = "raytrace.code_bytes"
"""Of the one that exports its function or class: what that takes pickled, where it is much."""

# A submission of an execution of Ray Data, and what is said of an operator at the execution's end.
OPERATOR = "raytrace.operator"
"""Which operator of which execution: `<16 hex digits>.<number>`, the same on its tasks' submissions."""
OPERATOR_NAME = "raytrace.operator_name"
OPERATOR_INDEX = "raytrace.operator_index"
"""Its place in the pipeline; an operator comes after those whose output it takes."""
EXECUTION = "raytrace.execution"
"""Of the run of an execution's own thread: what the ids of its operators begin with."""
DATASET = "raytrace.dataset"
OUTCOME = "raytrace.outcome"
"""Of an execution: `finished`, `failed` or, where the driver ended first, `open`."""
BEGAN_NS = "raytrace.began_ns"
"""When what a span of no length tells of had begun, in ns since the epoch."""
OPERATOR_METRICS = "raytrace.operator_metrics"
BACK_PRESSURE = "raytrace.back_pressure"

# A run (CONSUMER).
ATTEMPT = "raytrace.attempt"
CONCURRENT = "raytrace.concurrent"
ACTOR_NAME = "raytrace.actor_name"
CANCELLED = "raytrace.cancelled"
CONCURRENCY_GROUP = "raytrace.concurrency_group"
MAX_CONCURRENCY = "raytrace.max_concurrency"
ON_EVENT_LOOP = "raytrace.on_event_loop"
ITEMS = "raytrace.items"
ITEM_READY = "raytrace.item_ready"
"""When each item of a generator was there: of very many every second, fourth, ... one (see README)."""

# A run or a driver, by the sampler.
CPU_NS = "raytrace.cpu_ns"
CPU_DELAY_NS = "raytrace.cpu_delay_ns"
PROCESS_CPU_NS = "raytrace.process_cpu_ns"
STACKS = "raytrace.stacks"
IDLE = "raytrace.idle"
BUSY = "raytrace.busy"
"""Of one that did not use the CPU all the time: when it was busy for longest, as JSON: start, end, how long, the
line of the program, and how long it imported modules there (ns)."""

# A request at a proxy of Ray Serve.
ANSWERED_NS = "raytrace.answered_ns"
"""When the last part of its answer was sent (ns since the epoch): its span ends when Serve has done with it."""

# A request in a replica of Ray Serve.
LOOP_NS = "raytrace.loop_ns"
"""How long its handler kept the event loop that it runs on."""
LOOP_IDLE_NS = "raytrace.loop_idle_ns"
"""How much of that it was idle: no other coroutine could run meanwhile."""
HANDLER_CPU_NS = "raytrace.handler_cpu_ns"
"""What its handler used of the CPU, there or in a thread of Serve's."""

# A request by a handle, where Serve itself traces nothing.
SENT = "raytrace.sent"
"""A replica took it."""

# A request's wait for its batch (`@serve.batch`).
BATCH_SIZE = "raytrace.batch_size"
MAX_BATCH_SIZE = "raytrace.max_batch_size"

# Where a replica of Ray Serve loads a model (`@serve.multiplexed`).
MODEL = "raytrace.model"

# Waits, puts, and the span around those too short to be recorded.
READY_TASK_IDS = "raytrace.ready_task_ids"
AWAITED_TASK_IDS = "raytrace.awaited_task_ids"
"""Of a wait that is open, timed out or failed: what it asked for and what did not come, the first 64."""
TIMED_OUT = "raytrace.timed_out"
POLLS = "raytrace.polls"
"""How many calls a wait is made of, where that is more than one."""
AWAITED = "raytrace.awaited"
"""What is waited for where that is no result of Ray's."""
HELD_BY = "raytrace.held_by"
"""Of an open wait for a lock of asyncio: the spans of the runs that hold it."""
SAMPLED_TIMES = "raytrace.sampled_times"
"""Whether a wait's times are those at which the sampler looked."""
LOOPS = "raytrace.loops"
"""Of a timer: whether it is in a loop that can end before its turns are over."""
ITEM = "raytrace.item"
AWAITED_COUNT = "raytrace.awaited_count"
PUT_BYTES = "raytrace.put_bytes"
SHORT_WAITS = "raytrace.short_waits"

# Ray's training libraries, and what a program marks itself.
RANK = "raytrace.rank"
WORLD_SIZE = "raytrace.world_size"
EXPERIMENT = "raytrace.experiment"
REPORT = "raytrace.report"
"""Which report (of a rank, of a trial), from 0 on."""
HAS_CHECKPOINT = "raytrace.has_checkpoint"
TRIAL = "raytrace.trial"
PARAMETERS = "raytrace.parameters"
STEP = "raytrace.step"

# What ends something.
TARGET_TASK_ID = "raytrace.target_task_id"
PLACEMENT_GROUP_ID = "raytrace.placement_group_id"
PLACEMENT_GROUP_RESOURCES = "raytrace.placement_group_resources"
"""What that asks for in all, as JSON."""

# The driver.
ENTRYPOINT = "raytrace.entrypoint"
CLUSTER_RESOURCES = "raytrace.cluster_resources"
ALIVE = "raytrace.alive"
"""Only while the driver's span is open."""

# Spans that are the hook's own.
DRIVER_SPAN, GET_SPAN, WAIT_SPAN, PUT_SPAN = "ray.driver", "ray.get", "ray.wait", "ray.put"
AWAIT_SPAN, NEXT_SPAN = "await", "ray.next"
DELIVERY_SPAN, BACK_PRESSURE_SPAN = "ray.delivery", "back-pressure"
PLACEMENT_SPAN = "placement_group.wait"
REMOVAL_SPAN = "placement_group.remove"
OPERATOR_SPAN = "ray.data.operator"
CANCEL_SPAN, KILL_SPAN = "ray.cancel", "ray.kill"
STEP_SPAN = "step"
REPORT_SPAN, CHECKPOINT_SPAN, BATCH_SPAN = "ray.train.report", "ray.train.checkpoint", "ray.train.batch"
BATCH_FILL_SPAN, BATCH_TURN_SPAN = "ray.serve.batch_fill", "ray.serve.batch_turn"
MODEL_SPAN = "ray.serve.load_model"
TRIAL_SPAN, SUGGEST_SPAN, SCHEDULER_SPAN = "ray.tune.trial", "ray.tune.suggest", "ray.tune.scheduler"
CALLBACKS_SPAN = "ray.tune.callbacks"
RUN_SUFFIX = " ray.remote_worker"
"""What Ray's tracing ends the name of a run's span with."""
