"""The embedded media engine: a process of its own that relays RTP and SRTP and is commanded by the NG protocol."""
