"""Calls: two legs that tell each other call-control events, never SIP.

`border` takes INVITEs and keeps the calls; `call` is one call's mind; `leg`, `inbound` and `outbound` speak SIP with one peer
each; `offers` shapes session descriptions; `session_timer` is RFC 4028.
"""
