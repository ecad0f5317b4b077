"""Applications of Ray Serve, each with one bottleneck that is built in: `requesting.py PORT HOOK`.

Prints, as JSON, what each client measured over plain HTTP, and what it was answered.
"""

import asyncio
import json
import sys
import time

import aiohttp
import ray
from ray import serve
from ray.serve._private import api
from starlette.responses import StreamingResponse

PAUSE_S = 0.1
SMALL = {"num_cpus": 0}


@serve.deployment(max_ongoing_requests=1, ray_actor_options=SMALL)
class Slow:
    async def __call__(self, request):
        await asyncio.sleep(PAUSE_S)
        return {"i": int(request.query_params["i"])}


@serve.deployment(max_ongoing_requests=20, ray_actor_options=SMALL)
class Back:
    async def infer(self, i):
        await asyncio.sleep(4 * PAUSE_S if i % 8 == 7 else PAUSE_S)
        return i

    async def second(self, i):
        await asyncio.sleep(PAUSE_S / 2)
        return i


@serve.deployment(max_ongoing_requests=20, ray_actor_options=SMALL)
class Front:
    def __init__(self, back):
        self.back = back

    async def __call__(self, request):
        i = int(request.query_params["i"])
        await asyncio.sleep(0.01)
        first, second = await asyncio.gather(self.back.infer.remote(i), self.back.second.remote(i))
        if i == 6:
            raise ValueError("the sixth")
        return {"i": first if first == second else -1}


@serve.deployment(max_ongoing_requests=20, ray_actor_options=SMALL)
class Batching:
    @serve.batch(max_batch_size=4, batch_wait_timeout_s=0.3)
    async def together(self, numbers):
        await asyncio.sleep(PAUSE_S)
        return numbers

    async def __call__(self, request):
        return {"i": await self.together(int(request.query_params["i"]))}


@serve.deployment(max_ongoing_requests=20, ray_actor_options=SMALL)
class Streaming:
    async def parts(self, i):
        for _ in range(3):
            await asyncio.sleep(PAUSE_S)
            yield " "
        yield json.dumps({"i": i})

    async def __call__(self, request):
        return StreamingResponse(self.parts(int(request.query_params["i"])))


@serve.deployment(max_ongoing_requests=20, ray_actor_options=SMALL)
class Models:
    @serve.multiplexed(max_num_models_per_replica=2)
    async def load(self, name):
        await asyncio.sleep(3 * PAUSE_S)
        return name

    async def __call__(self, request):
        await self.load(serve.get_multiplexed_model_id())
        return {"i": int(request.query_params["i"])}


APPLICATIONS = {
    "queue": (Slow, 8, 8),
    "compose": (Front, 4, 16),
    "batch": (Batching, 4, 8),
    "stream": (Streaming, 2, 4),
    "models": (Models, 1, 4),
}


async def ask(session, port, name, i, headers):
    began = time.time_ns()
    async with session.get(f"http://127.0.0.1:{port}/{name}?i={i}", headers=headers) as answer:
        text = await answer.text()
        found = json.loads(text)["i"] if answer.status == 200 else answer.status
    return time.time_ns() - began, found


async def load(port):
    truth = {}
    async with aiohttp.ClientSession() as session:
        for name, (_, clients, count) in APPLICATIONS.items():
            measured = []

            async def client(which, name=name, clients=clients, count=count, measured=measured):
                for i in range(which, count, clients):
                    headers = {"serve_multiplexed_model_id": f"m{i % 4}"} if name == "models" else {}
                    measured.append((i, *await ask(session, port, name, i, headers)))

            await asyncio.gather(*(client(which) for which in range(clients)))
            measured.sort()
            truth[name] = {"latency_ns": [m[1] for m in measured], "answers": [m[2] for m in measured]}
    return truth


def main(port, hook):
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", _tracing_startup_hook=hook or None
    )
    api.HTTP_PROXY_TIMEOUT = 300  # a busy machine takes longer than a minute to start processes
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    for name, (kind, _, _) in APPLICATIONS.items():
        application = kind.bind(Back.bind()) if kind is Front else kind.bind()
        serve.run(application, name=name, route_prefix=f"/{name}")
    truth = asyncio.run(load(port))
    session = ray._private.worker.global_worker.node.get_session_dir_path()
    print(json.dumps({"applications": truth, "session": session}))
    serve.shutdown()
    ray.shutdown()
    print("\ndone")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
