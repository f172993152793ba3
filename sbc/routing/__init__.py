"""Where a call goes, or why it goes nowhere: number plan, targets, and the decision for an INVITE.

Pure and immediate: no waiting, no I/O. People are asked for through `TargetResolver`, which the program fills with the directory.
"""

from sbc.routing.decision import Policy, Refusal, Route, Router, TrunkView
from sbc.routing.targets import Found, TargetResolver

__all__ = ["Found", "Policy", "Refusal", "Route", "Router", "TargetResolver", "TrunkView"]
