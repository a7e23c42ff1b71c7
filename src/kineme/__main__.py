"""``python -m kineme``: the command line, where the ``kineme`` script is not on the path."""

from kineme.cli.main import main

main()
