"""Exit codes of ``edgewright``; the device's command shares them (``profiles/exit_codes.py``)."""

from profiles.exit_codes import _CODES, FINE, INTERRUPTED, MEANINGS, OUR_FAULT, TERMINATED, exit_code

__all__ = ["FINE", "INTERRUPTED", "MEANINGS", "OUR_FAULT", "TERMINATED", "_CODES", "exit_code"]
