"""Addresses for readers: without the user, the password and the signatures that some of them carry."""

from __future__ import annotations

import re

# User and password stand before the last @ of what names the server; in a database's URL, people leave / in passwords.
# Of an address that was taken for a path, Python leaves one slash.
_SERVER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+:/{1,2})[^\s/?#'\"<>]*@")
_DATABASE = re.compile(
    r"\b((?:postgres|mysql|mariadb|oracle|mssql|redis|mongodb)[a-z0-9+]*://)[^\s'\"<>]*@"
)
# Signed addresses of S3, Google and Azure storage, tokens of model hubs, passwords of database drivers.
_SECRET = re.compile(
    r"([?&;#](?:x-(?:amz|goog)-[a-z-]+|awsaccesskeyid|googleaccessid|sig|signature|[a-z_-]*token|[a-z_-]*key"
    r"|[a-z_-]*pass(?:word|wd)?|pwd|[a-z_-]*secret|code|auth|jwt|policy|credentials?|access|sas|session)=)[^\s&;'\"<>#)]+",
    re.IGNORECASE,
)


def public(text: str) -> str:
    """A text whose addresses show no user, no password and no signature."""
    if ":/" not in text:
        return text
    return _SECRET.sub(r"\1***", _SERVER.sub(r"\1", _DATABASE.sub(r"\1", text)))
