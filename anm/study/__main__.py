"""Entry point of `python -m anm.study` and of the command `anm`."""

import sys


def main() -> int:
    """Run the command line; exit code 2 where the packages of a study are not installed."""
    try:
        from anm.study.cli import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "anm":
            raise
        print(f"anm: error: {error.name}: not installed; install it: pip install 'anm[study]'", file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
