"""A small Ray Data pipeline of two operators."""

import sys

import ray
import ray.data


def double(row):
    return {"id": row["id"] * 2}


def main():
    ray.init(num_cpus=2, address="local", include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")
    ray.data.DataContext.get_current().enable_progress_bars = False
    data = ray.data.range(40, override_num_blocks=2).map(double)
    assert sorted(row["id"] for row in data.take_all()) == list(range(0, 80, 2))
    sys.stdout.write("\ndone\n")


if __name__ == "__main__":
    main()
