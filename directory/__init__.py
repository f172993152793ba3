"""People: read from a source, merged to one person per e-mail, indexed in memory, found in microseconds.

Routing asks the index and nothing else; the source may fail and the last good index stays. The first source is a file (CSV or TOML).
"""

from directory.errors import DirectoryError
from directory.file_source import read_people
from directory.index import Index
from directory.model import Entry, Finding, Person
from directory.service import Directories, Directory

__all__ = ["Directories", "Directory", "DirectoryError", "Entry", "Finding", "Index", "Person", "read_people"]
