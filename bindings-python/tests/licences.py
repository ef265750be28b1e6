"""Fails if a wheel or source distribution lacks a licence, or has another text than the repository."""

import sys
import tarfile
import zipfile
from pathlib import Path, PurePath

ROOT = Path(__file__).resolve().parents[2]
LICENCES = {name: (ROOT / name).read_bytes() for name in ("LICENSE", "LICENSE-APACHE", "LICENSE-MIT")}


def files(path):
    """The files of an archive, by their names without a folder. In a source distribution those of its root."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return {PurePath(name).name: wheel.read(name) for name in wheel.namelist() if ".dist-info/licenses/" in name}
    with tarfile.open(path) as source:
        members = [one for one in source.getmembers() if one.isfile() and len(PurePath(one.name).parts) == 2]
        return {PurePath(one.name).name: source.extractfile(one).read() for one in members}


for argument in sys.argv[1:]:
    found = files(Path(argument))
    for licence, text in LICENCES.items():
        if found.get(licence) != text:
            sys.exit(f"{argument}: {licence} is missing or differs")
