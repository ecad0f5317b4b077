"""A job whose workers find no OpenTelemetry: its first argument is a path where importing it fails."""

import sys

import ray
import raytrace_hook


@ray.remote
def work(x):
    return x + 1


@ray.remote
def items(n):
    for i in range(n):  # noqa: UP028 - Ray sends values into generators, which a range can't take
        yield i


@ray.remote
class Actor:
    def method(self, x):
        return ray.get(work.remote(x))

    def numbers(self, n):
        for i in range(n):  # noqa: UP028 - see above
            yield i


def main(path):
    env = raytrace_hook.runtime_env({"env_vars": {"PYTHONPATH": path}})
    ray.init(address="local", num_cpus=2, include_dashboard=False, runtime_env=env)
    assert ray.get([work.remote(i) for i in range(3)]) == [1, 2, 3]
    assert [ray.get(ref) for ref in items.remote(2)] == [0, 1]
    actor = Actor.remote()
    assert ray.get(actor.method.remote(1)) == 2
    assert [ray.get(ref) for ref in actor.numbers.remote(2)] == [0, 1]
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(sys.argv[1])
