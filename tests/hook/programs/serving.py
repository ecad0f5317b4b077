"""A small Serve application, called over HTTP and through a handle; Serve's tracing is set up as the argument says."""

import asyncio
import sys
import time
import urllib.request

import ray
from ray import serve
from ray.serve._private import api


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Doubler:
    def double(self, x):
        return 2 * x

    async def holding(self, x):
        time.sleep(0.3)
        return 2 * x

    async def after(self, x, pause):
        await asyncio.sleep(pause)
        return 2 * x


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Front:
    def __init__(self, doubler):
        self.doubler = doubler

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.3)
    async def sums(self, numbers):
        time.sleep(0.05)
        return [sum(numbers)] * len(numbers)

    async def batched(self, x):
        return await self.sums(x)

    @serve.multiplexed(max_num_models_per_replica=2)
    async def load(self, name):
        await asyncio.sleep(0.2)
        return name

    async def modelled(self, x):
        return await self.load(serve.get_multiplexed_model_id()) * x

    async def __call__(self, request):
        return str(await self.doubler.double.remote(int(request.query_params["x"])))

    async def called(self, x):
        return await self.doubler.double.remote(x)

    async def streamed(self, x):
        yield x
        time.sleep(0.2)
        yield 2 * x

    async def held(self, x):
        return await self.doubler.holding.remote(x)

    async def both(self, x):
        return await asyncio.gather(*(self.doubler.after.remote(x + i, 0.2 * (i + 1)) for i in range(2)))


def main(how, port):
    api.HTTP_PROXY_TIMEOUT = 300  # a busy machine takes longer than a minute to start processes
    hook = {"_tracing_startup_hook": "raytrace_hook:setup_tracing"} if how == "both" else {}
    ray.init(address="local", num_cpus=1, include_dashboard=False, **hook)
    more = {}
    if how == "config":
        from ray.serve.schema import TracingConfig

        path = "raytrace_hook:serve_span_processors"
        more["tracing_config"] = TracingConfig(enabled=True, exporter_import_path=path, sampling_ratio=1.0)
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)}, **more)
    handle = serve.run(Front.bind(Doubler.bind()))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/?x=4", timeout=240) as answer:
        assert answer.read() == b"8"
    assert handle.called.remote(3).result() == 6
    if how == "both":
        assert handle.both.remote(1).result() == [2, 4]
        assert list(handle.options(stream=True).streamed.remote(1)) == [1, 2]
        assert [each.result() for each in [handle.held.remote(x) for x in (1, 2, 3)]] == [2, 4, 6]
        of_model = handle.options(multiplexed_model_id="m").modelled
        assert [of_model.remote(x).result() for x in (1, 2)] == ["m", "mm"]
        assert [each.result() for each in [handle.batched.remote(x) for x in (1, 2)]] == [3, 3]
    session = ray._private.worker.global_worker.node.get_session_dir_path()
    serve.shutdown()
    sys.stdout.write(f"\n{session}\ndone\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
