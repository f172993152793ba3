"""The session border controller: everything between a socket that speaks SIP or RTP and a finished call."""
