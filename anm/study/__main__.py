"""Entry point of `python -m anm.study`."""

import sys

from anm.study.cli import main

sys.exit(main())
