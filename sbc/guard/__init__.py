"""Admission: rate, concurrency, draining, and bans for sources that send rubbish. Emergency calls pass.

Pure: `now` (monotonic seconds) is handed in, memory is bounded.
"""

from sbc.guard.admission import Admission, Limit, Overload
from sbc.guard.bans import BanList

__all__ = ["Admission", "BanList", "Limit", "Overload"]
