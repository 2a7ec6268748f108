"""A stand-in for Docker Hub's ``python:X.Y-slim-SUITE``, built from Debian packages, for machines that cannot pull it.

Both images consist of Debian's essential packages and Python. Docker Hub's image has its own build of Python below
/usr/local. The stand-in has Debian's Python below /usr, with links in /usr/local/bin.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.image.buildah import Buildah, run

if TYPE_CHECKING:
    from pathlib import Path

MIRROR: Final = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
PACKAGES: Final = ("ca-certificates", "python3", "python3-pip-whl")
VARIABLES: Final = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
_CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"


class BaseImage(NamedTuple):
    """The image that the Dockerfile starts from."""

    name: str
    python: str
    """The minor version, such as 3.13."""
    suite: str
    """The release of Debian, such as trixie."""


def parse(dockerfile: str) -> BaseImage:
    """Return the base image of a Dockerfile. All stages must have the same one."""
    (name,) = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
    found = re.fullmatch(r"python:(\d+\.\d+)-slim-([a-z]+)", name)
    if found is None:
        raise ValueError(f"the base image must be python:X.Y-slim-SUITE, got {name!r}")
    return BaseImage(name, found[1], found[2])


def make(base: BaseImage, folder: Path, buildah: Buildah, certificates: Path) -> None:
    """Build the base image and tag it with the name of the real one.

    debootstrap runs only once, because *folder* caches its result. The image trusts the certificates of this machine,
    which may be behind a proxy that inspects TLS.
    """
    root = folder / base.suite
    if not root.exists():
        _bootstrap(base, root)
    if certificates.exists():
        shutil.copy(certificates, root / _CERTIFICATES)
    buildah.import_base(root, f"docker.io/library/{base.name}", VARIABLES)


def _bootstrap(base: BaseImage, root: Path) -> None:
    unfinished = root.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", base.suite, unfinished, MIRROR)
    for cache in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(unfinished / cache)
        (unfinished / cache).mkdir()
    links = {"python3": f"/usr/bin/python{base.python}", "python": "python3"}
    for name, target in links.items():
        (unfinished / "usr" / "local" / "bin" / name).symlink_to(target)
    (unfinished / "usr" / "lib" / f"python{base.python}" / "EXTERNALLY-MANAGED").unlink()
    wheels = "/usr/share/python-wheels"
    (pip,) = unfinished.glob(f"{wheels[1:]}/pip-*.whl")
    offline = ("--quiet", "--root-user-action=ignore", "--no-index", f"--find-links={wheels}")
    run("chroot", unfinished, "/usr/bin/python3", f"{wheels}/{pip.name}/pip", "install", *offline, "pip")
    settings = unfinished / "etc" / "uv" / "uv.toml"
    settings.parent.mkdir()
    settings.write_text("system-certs = true\n", "utf-8")
    unfinished.rename(root)
