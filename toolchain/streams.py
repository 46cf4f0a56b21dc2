"""Standard output and standard error of ``edgewright``; the device's command shares them (``profiles/streams.py``)."""

from profiles.streams import give_up, standard_streams, tell, write

__all__ = ["give_up", "standard_streams", "tell", "write"]
