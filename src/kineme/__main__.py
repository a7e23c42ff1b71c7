"""``python -m kineme`` and the script ``kineme``: the command line. Ctrl-C gives one line during imports, too."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; see :func:`kineme.cli.main.main`."""
    try:
        from kineme.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("kineme: interrupted\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
