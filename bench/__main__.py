"""`python -m bench`, and the command `bench`."""

import sys


def main() -> None:
    """Runs the command line; Ctrl-C while it is still being imported is one line."""
    try:
        from bench.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit("stopped by Ctrl-C")
    run()


if __name__ == "__main__":
    main()
