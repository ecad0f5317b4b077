"""A small Ray Data pipeline of two operators, and a reading of Parquet, whose files are listed by a task."""

import os
import sys
import tempfile

import ray
import ray.data


def double(row):
    return {"id": row["id"] * 2}


def main():
    os.environ["RAY_DATA_PARQUET_FOOTER_NUM_ACTORS"] = "1"
    ray.init(num_cpus=3, address="local", include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")
    ray.data.DataContext.get_current().enable_progress_bars = False
    data = ray.data.range(40, override_num_blocks=2).map(double)
    assert sorted(row["id"] for row in data.take_all()) == list(range(0, 80, 2))
    with tempfile.TemporaryDirectory() as folder:
        data.write_parquet(folder)
        assert len(ray.data.read_parquet(folder).take_all()) == 40
    sys.stdout.write("\ndone\n")


if __name__ == "__main__":
    main()
