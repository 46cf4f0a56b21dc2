"""``python -m toolchain`` is the command ``edgewright``."""

import sys

from toolchain.cli.main import main

sys.exit(main())
