"""What spans of Ray's own tracing and of raytrace_hook are called: the one place that knows these names.

A submission is called after what is submitted, with ` ray.remote` behind it, and its run with ` ray.remote_worker`.
What is submitted is a function, a method, or the creation of an actor, which is called `Class.__init__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import polars as pl

    Functions = TypeVar("Functions", pl.Expr, pl.Series)

SUBMIT_SUFFIX = " ray.remote"
RUN_SUFFIX = " ray.remote_worker"

DRIVER_SPAN = "ray.driver"
GET = "ray.get"
PUT = "ray.put"
WAIT = "ray.wait"
"""Comes back with the first of what it asks for; other waits need all of it."""
NEXT = "ray.next"
"""Waits for the next item of a generator."""
BATCH = "ray.train.batch"
"""Waits of a rank of Ray Train for a batch of data."""
BATCH_FILL = "ray.serve.batch_fill"
"""Waits of a request of Ray Serve for others to fill its batch."""
BATCH_TURN = "ray.serve.batch_turn"
"""Waits of a request for its batch, which is filled, to begin."""
MODEL_LOAD = "ray.serve.load_model"
"""Where a replica loads a model (`@serve.multiplexed`), in a request that waits for that."""
DELIVERY = "ray.delivery"
"""Results that came in a callback."""
CANCEL = "ray.cancel"
KILL = "ray.kill"
REMOVAL = "placement_group.remove"
"""The removal of a placement group."""
BACK_PRESSURE = "back-pressure"
"""Waits of generators that are held back for their consumer, in which they keep their slots."""

SUSPENSION = "await"
"""In which an asynchronous method is suspended, or a thread waits for another one, or for the future of a result."""
KEEP_SLOT = (BACK_PRESSURE, SUSPENSION)
"""The waits in which Ray does not take the slot back: it does so in its own `get` and `wait`."""
OPERATOR_SPAN = "ray.data.operator"
"""What is said of an operator of Ray Data at its execution's end."""
REPORT_SPAN, CHECKPOINT_SPAN = "ray.train.report", "ray.train.checkpoint"
"""Reports of a rank of Ray Train; checkpoints that it, or a trial of Ray Tune, stores."""
TRIAL_SPAN = "ray.tune.trial"
"""What is said of a trial of Ray Tune at its end."""
SUGGEST_SPAN, SCHEDULER_SPAN, CALLBACKS_SPAN = "ray.tune.suggest", "ray.tune.scheduler", "ray.tune.callbacks"
"""What Ray Tune's controller does in the driver."""

_CREATION = "__init__"


def creates_actor(function: Functions) -> Functions:
    """Tell of each function, by its name, whether it is the creation of an actor; null of none."""
    return function.str.ends_with(_CREATION)


def is_creation(function: object) -> bool:
    """Tell the same of one; False of none."""
    return str(function).endswith(_CREATION)


def class_of_creation(function: str) -> str:
    """Return the class whose actor a creation makes."""
    return function.removesuffix(f".{_CREATION}")


def class_created(function: pl.Expr) -> pl.Expr:
    """Return the class whose actor each creation makes; other functions stay as they are."""
    return function.str.strip_suffix(f".{_CREATION}")
