"""Build images with buildah: no daemon, and chroot isolation, so that it also runs inside a container."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer of an image."""

    compressed: int
    """Bytes."""
    unpacked: int
    """Bytes of all files."""
    paths: frozenset[str]
    """All entries except folders, including the whiteouts of deleted files."""


def run(*command: str | Path) -> str:
    """Run a command and return its standard output. If it fails, raise RuntimeError with its output."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Buildah:
    """buildah with its own image storage."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._options = (f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}")

    def __call__(self, *arguments: str | Path) -> str:
        """Run ``buildah`` and return its standard output without the final line break."""
        return run("buildah", *self._options, *arguments).strip()

    def clean(self) -> None:
        """Remove all containers with their mounts, images that no name refers to, and pushed layers."""
        self("rm", "--all")
        self("rmi", "--prune", "--force")
        shutil.rmtree(self._folder / "oci", ignore_errors=True)

    def import_base(self, root: Path, name: str, variables: Mapping[str, str]) -> None:
        """Commit the root file system at *root* as the image *name*."""
        container = self("from", "scratch")
        self("add", "--quiet", container, root, "/")
        self("config", *(f"--env={key}={value}" for key, value in variables.items()), container)
        self("commit", "--rm", "--quiet", container, name)

    def build(self, context: Path, tag: str) -> None:
        """Build the Dockerfile in *context*, without pulling base images."""
        self("build", "--isolation=chroot", "--pull-never", f"--tag={tag}", context)

    def config(self, image: str) -> dict[str, Any]:
        """Return the runtime configuration of an image: ``User``, ``Env``, ``Entrypoint`` and so on."""
        config: dict[str, Any] = json.loads(self("inspect", "--type=image", image))["OCIv1"]["config"]
        return config

    @contextlib.contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """Mount the root file system of an image."""
        container = self("from", "--pull-never", image)
        try:
            yield Path(self("mount", container))
        finally:
            self("rm", container)

    def layers(self, image: str) -> list[Layer]:
        """Return the layers of an image, the base first, as a registry would store them."""
        self("push", "--quiet", image, f"oci:{self._folder / 'oci'}:image")
        index = json.loads((self._folder / "oci" / "index.json").read_text("utf-8"))
        manifest = json.loads(self._blob(index["manifests"][0]["digest"]).read_text("utf-8"))
        return [self._layer(each) for each in manifest["layers"]]

    def _layer(self, descriptor: Mapping[str, Any]) -> Layer:
        with tarfile.open(self._blob(descriptor["digest"])) as archive:
            members = {each.name.removeprefix("./"): each.size for each in archive if not each.isdir()}
        return Layer(compressed=descriptor["size"], unpacked=sum(members.values()), paths=frozenset(members))

    def _blob(self, digest: str) -> Path:
        return self._folder / "oci" / "blobs" / digest.replace(":", "/")
