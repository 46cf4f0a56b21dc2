"""The device's side: ``edgewright-agent``. It polls static, signed files, installs, checks, switches, and goes back."""
