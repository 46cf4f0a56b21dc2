"""What is said before anything is compiled: verdicts on every node, DLA included."""
