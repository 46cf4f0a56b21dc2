"""A repository in memory that may fail, and devices that follow it."""

from profiles.errors import OutputError
from toolchain.fleet.documents.plan import Wave


class Publisher:
    """Keeps every plan that was set; fails when told to."""

    def __init__(self):
        self.plans, self.fail, self.refreshed = [], "", 0

    def plan(self, product, channel):
        return next((each for each in reversed(self.plans) if (each.product, each.channel) == (product, channel)), None)

    def set_plan(self, plan):
        before = self.plan(plan.product, plan.channel)
        assert before is None or plan.sequence > before.sequence, "the repository refuses a sequence that does not grow"
        if self.fail == "before":
            raise OutputError("the disk is full")
        self.plans.append(plan)
        if self.fail == "after":
            raise KeyboardInterrupt

    def refresh(self):
        self.refreshed += 1

    @property
    def sequences(self):
        return [each.sequence for each in self.plans]


WAVES = (Wave("canary", percent=20.0), Wave("all", percent=100.0))
