"""One module per command, each with ``arguments(parser)`` and ``run(args) -> exit code``."""
