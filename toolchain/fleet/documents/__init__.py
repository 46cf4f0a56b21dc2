"""What is signed and sent: releases, rollouts, reports. Pure data, shared by the server's side and the agent's."""
