"""On the path of all processes of the tests: Ray starts without what no test looks at, at half the CPU time.

That is its dashboard's process and the agent of each node that serves it, and the autoscaler's process. A test that
asks for the dashboard gets all of it.
"""

import os
import sys
import time
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path


class _Lean(Loader):
    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        if not hasattr(module.ray._raylet, "persist_port"):
            return  # an older Ray, whose agents are asked for their ports in another way
        whole = module.Node.start_api_server

        def start_api_server(self, *, include_dashboard=None, **rest):
            if include_dashboard:
                whole(self, include_dashboard=include_dashboard, **rest)
                return
            # What makes the agent leave out the dashboard's part.
            module.ray._private.utils.get_dashboard_dependency_error = lambda: ImportError("not in a test")

        module.Node.start_api_server = start_api_server
        module.Node.start_monitor = lambda self: None


class _Finder(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "ray._private.node":
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Lean(spec.loader)
        return spec


def _be_an_agent(arguments):
    """Say, as an agent without the dashboard's packages does, that nothing is served; live as long as the node."""
    given = dict(word.removeprefix("--").split("=", 1) for word in arguments if word.startswith("--") and "=" in word)
    for service in ("metrics_agent", "metrics_export", "dashboard_agent_listen"):
        name = f"{service}_port_{given['node-id']}"
        new = Path(given["session-dir"], f"{name}.new")
        new.write_text("-1")
        new.rename(new.with_name(name))
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


if "--minimal" in sys.orig_argv and any(word.endswith("dashboard/agent.py") for word in sys.orig_argv):
    _be_an_agent(sys.orig_argv)
sys.meta_path.insert(0, _Finder())
