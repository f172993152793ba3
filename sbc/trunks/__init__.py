"""Trunks: who is on the other side, how they want to be spoken to, and whether they are well.

`teams` and `talkdesk` are the only homes of a vendor's ways on the signalling side.
"""
