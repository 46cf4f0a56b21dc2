"""Run firmware, in an emulator or on a board, talk to it, and count what it executes."""
