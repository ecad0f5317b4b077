"""Calls of Ray from several places of a program, each told by its line."""

import ray


@ray.remote
def instant(value=None):
    return value


@ray.remote
class Caller:
    async def ask(self):
        return await instant.remote(1)  # awaited here


def helper():
    return ray.get(instant.remote())  # called by a helper


ray.init(address="local", num_cpus=2, include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")
helper()  # who calls the helper
caller = Caller.remote()  # made here
ray.wait([caller.ask.remote()])  # waited for here
ray.wait(
    [
        instant.remote(each)  # inside a comprehension
        for each in range(2)
    ]
)
print("done")
