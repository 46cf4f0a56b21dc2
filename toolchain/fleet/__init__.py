"""From signed bundles to a safe rollout, and back: releases, trust, waves, the server, and the agent on the device."""
