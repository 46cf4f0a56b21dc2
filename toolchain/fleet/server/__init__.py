"""What listens and moves: check-ins of devices, the static repository for labs, and the mover of rollouts."""
