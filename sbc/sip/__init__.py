"""The SIP protocol core: bytes and `now` in, values, events and effects out.

Nothing here opens a socket, reads a clock, draws a random number or writes a log, and nothing of ours is
imported from outside the package, so that every rule of RFC 3261 can be tried in a test without a network.
"""
