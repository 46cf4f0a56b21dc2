"""Rollouts as pure state: who may install what when, and whether the next wave may open. No I/O, no clock."""
