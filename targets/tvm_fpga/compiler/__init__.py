"""From a region of integer layers to one command stream; :mod:`.compile` shows the way, module by module."""
