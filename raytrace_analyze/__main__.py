"""`python -m raytrace_analyze`: the command line."""

from raytrace_analyze.cli import main

if __name__ == "__main__":
    main()
