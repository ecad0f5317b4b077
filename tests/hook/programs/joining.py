"""Joins a running cluster: as its plain driver, or with the hook for this job alone."""

import sys

import ray
import raytrace_hook
from opentelemetry import trace


@ray.remote
def work(x):
    with trace.get_tracer(__name__).start_as_current_span("foo"):
        return x + 1


@ray.remote
class Adder:
    def add(self, x):
        return ray.get(work.remote(x))

    def numbers(self, n):
        for i in range(n):  # noqa: UP028 - Ray sends values into generators, which a range can't take
            yield i


def own_hook():
    import os

    os.environ["OWN_HOOK"] = "ran"


@ray.remote
def own_hook_ran():
    import os

    return os.environ.get("OWN_HOOK"), os.environ.get("OWN_VARIABLE")


def main(address, how):
    if how == "plain":
        ray.init(address=address)
    elif how == "job":
        ray.init(address=address, runtime_env=raytrace_hook.runtime_env())
    elif how == "merged":
        mine = {"env_vars": {"OWN_VARIABLE": "kept"}, "worker_process_setup_hook": own_hook}
        ray.init(address=address, runtime_env=raytrace_hook.runtime_env(mine))
        assert ray.get(own_hook_ran.remote()) == ("ran", "kept")
    assert ray.get([work.remote(i) for i in range(5)]) == [1, 2, 3, 4, 5]
    adder = Adder.remote()
    assert ray.get(adder.add.remote(1)) == 2
    assert [ray.get(ref) for ref in adder.numbers.remote(2)] == [0, 1]
    if how == "job":
        ray.shutdown()
        ray.init(address=address)
        assert ray.get(work.remote(1)) == 2
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
