"""Puts the stub firmware's builder on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))
