"""The program: command line, composition root (the one place that wires services), lifecycle, self-check."""

__version__ = "0.1.0"
