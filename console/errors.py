"""What can go wrong with the HTTP port.

The package's error tree::

    ConsoleError (OSError)     the console cannot do its work
      ListenError              its address cannot be bound; the sentence names it
"""


class ConsoleError(OSError):
    """The console cannot do its work."""


class ListenError(ConsoleError):
    """The HTTP address cannot be bound."""
