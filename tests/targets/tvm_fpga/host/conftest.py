"""Puts the helpers of this folder and of the partition's tests on the path."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "partition"):
    sys.path.insert(0, str(folder))
