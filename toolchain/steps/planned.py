"""What the compiled files of a bundle alone tell, beside what was measured."""

from __future__ import annotations

import dataclasses

from profiles.profiler import Profile
from profiles.runner import Counters
from targets.artifact import Artifact
from targets.registry import load_target


def planned(artifact: Artifact) -> Counters:
    """Figures and facts of the compiler's plan; nothing where the target tells nothing."""
    return load_target(artifact.target).static_counters(artifact.folder, artifact.compiled)


def with_planned(profile: Profile, plan: Counters) -> Profile:
    """The profile with what only the plan tells; what the engine itself says comes first."""
    return dataclasses.replace(
        profile, metrics={**plan.metrics, **profile.metrics}, facts={**plan.facts, **profile.facts}
    )
