"""What spans of Ray's own tracing and of raytrace_hook are called: the one place that knows these names.

A submission is called after what is submitted, with ` ray.remote` behind it, and its run with ` ray.remote_worker`.
"""

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
DELIVERY = "ray.delivery"
"""Results that came in a callback."""
CANCEL = "ray.cancel"
KILL = "ray.kill"
BACK_PRESSURE = "back-pressure"
"""Waits of generators that are held back for their consumer, in which they keep their slots."""
