"""The part of a network that stays on the host: built by TVM, with regions that the accelerator runs."""
