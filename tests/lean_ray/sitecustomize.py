"""On the path of all processes of the tests: Ray starts without what no test looks at, at half the CPU time.

That is its dashboard's process and the part of each node's agent that serves it, and the autoscaler's process. A test
that asks for the dashboard gets all of it.
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import PathFinder


class _Lean(Loader):
    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
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


sys.meta_path.insert(0, _Finder())
