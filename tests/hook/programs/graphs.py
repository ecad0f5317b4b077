"""A compiled graph, and a placement group that there is no room for, waited for in every way."""

import asyncio
import contextlib
import sys
import time

import ray
from opentelemetry import trace
from ray.dag import InputNode, MultiOutputNode
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy


def case(name):
    return trace.get_tracer("program").start_as_current_span(f"case {name}")


@ray.remote(num_cpus=0)
class Stage:
    def step(self, x):
        time.sleep(0.3)
        return x + 1


@ray.remote(num_cpus=0)
class Other:
    def check(self, x):
        if x > 11:
            raise ValueError("too much")
        return x


def several_steps():
    with InputNode() as value:
        # Older versions of Ray bind no method of an actor that is let go of.
        stage, other = Stage.remote(), Other.remote()
        between = stage.step.bind(value)
        graph = MultiOutputNode([other.check.bind(between), between]).experimental_compile()
    with case("steps"):
        first = graph.execute(10)
        second = graph.execute(20)
    with case("first"):
        assert ray.get(first) == [11, 11]
    with case("failed"), contextlib.suppress(ValueError):
        ray.get(second)
    graph.teardown()


async def asynchronously(stage):
    graph = compiled(stage, enable_asyncio=True)  # in the loop that it is used in
    with case("await"):
        result = await (await graph.execute_async(3))
    graph.teardown()
    return result


def compiled(stage, **how):
    with InputNode() as value:
        return stage.step.bind(value).experimental_compile(**how)


@ray.remote
def inside():
    pass


def main():
    ray.init(num_cpus=2, address="local", include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")
    graph = compiled(Stage.remote())
    with case("get"):
        assert ray.get(graph.execute(1)) == 2
    with case("own get"):
        assert graph.execute(2).get() == 3
    graph.teardown()
    several_steps()
    assert asyncio.run(asynchronously(Stage.remote())) == 4
    group = placement_group([{"CPU": 2}, {"CPU": 1}])
    with case("ready"), contextlib.suppress(ray.exceptions.GetTimeoutError):
        ray.get(group.ready(), timeout=0.3)
    with case("group"):
        assert not group.wait(1)
    with case("inside"):
        inside.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group)).remote()
    with case("remove"):
        remove_placement_group(group)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
