"""``python -m kineme``: the command line, where the ``kineme`` script is not on the path."""

import sys

from kineme.cli.main import main

sys.exit(main())
