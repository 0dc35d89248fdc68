"""Version of this release, defined only here."""

VERSION = "0.1.0"
