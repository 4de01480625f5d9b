"""Base images for tests: one of a few made-up files, and one of Debian's own packages with its real Python, without a shell; no hub is asked."""

from __future__ import annotations

import fcntl
import functools
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.oci.registry import Registry
from tests.needs import missing
from tests.programs.conftest import CACHE

GLIBC = b"\x7fELF...GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n..."
DEBIAN = [
    "base-files",
    "ca-certificates",
    "gcc-12-base",
    "libbz2-1.0",
    "libc6",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libncursesw6",
    "libnsl2",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libreadline8",
    "libsqlite3-0",
    "libssl3",
    "libstdc++6",
    "libtinfo6",
    "libtirpc3",
    "libuuid1",
    "media-types",
    "netbase",
    "python3-minimal",
    "python3.11-minimal",
    "tzdata",
    "zlib1g",
]
LIBRARIES = ["base-files", "libc6", "libcrypt1", "libgcc-s1", "libpcre2-8-0", "libssl3", "zlib1g"]
HAPROXY = [
    *LIBRARIES,
    "haproxy",
    "libcap2",
    "libgcrypt20",
    "libgpg-error0",
    "liblua5.3-0",
    "liblz4-1",
    "liblzma5",
    "libopentracing-c-wrapper0",
    "libopentracing1",
    "libstdc++6",
    "libsystemd0",
    "libzstd1",
]
NGINX = [*LIBRARIES, "nginx", "nginx-common"]
MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
CONFIG, GZIP = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER = {
    MANIFEST: "application/vnd.docker.distribution.manifest.v2+json",
    INDEX: "application/vnd.docker.distribution.manifest.list.v2+json",
    CONFIG: "application/vnd.docker.container.image.v1+json",
    GZIP: "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


@functools.cache  # kept open: a test that lets a connection go leaves a warning to another test
def client(host: str, repository: str, login: Login | None = None) -> Registry:
    return Registry(host, repository, login)


def registries(login: Login | None = None) -> Callable[[Reference], Registry]:
    """What an image is pushed with."""
    return lambda reference: client(reference.host, reference.repository, login)


def layer(files: Mapping[str, bytes | str]) -> bytes:
    """A gzipped layer: content by path; text that begins with `->` is a link."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str) and content.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, content[2:]
                archive.addfile(info)
                continue
            data = content.encode() if isinstance(content, str) else content
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


PYTHON_LAYER = layer({"lib/x86_64-linux-gnu/libc.so.6": GLIBC, "usr/bin/python3.11": b"\x7fELF", "usr/bin/python3": "->python3.11"})


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def described(kind: str, content: bytes, *, docker: bool = False, **more: Any) -> dict[str, Any]:
    return {"mediaType": DOCKER[kind] if docker else kind, "digest": sha(content), "size": len(content), **more}


def put(
    registry: Registry,
    tag: str,
    layers: Mapping[str, list[bytes]],
    *,
    config: Mapping[str, Any] | None = None,
    docker: bool = False,
    plain: bool = False,
) -> str:
    """An image of these layers, by architecture, under a tag; its digest. docker: Docker's older media types. plain: no index around it."""

    def blob(content: bytes) -> None:
        opened: Callable[[], IO[bytes]] = lambda: io.BytesIO(content)
        registry.push_blob(sha(content), len(content), opened)

    entries = []
    for architecture, parts in layers.items():
        diffs = [sha(gzip.decompress(one)) for one in parts]
        document = {
            "architecture": architecture,
            "os": "linux",
            "config": dict(config or {}),
            "rootfs": {"type": "layers", "diff_ids": diffs},
        }
        raw = json.dumps(document).encode()
        for content in (*parts, raw):
            blob(content)
        kind = DOCKER[MANIFEST] if docker else MANIFEST
        manifest = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": described(CONFIG, raw, docker=docker),
            "layers": [described(GZIP, one, docker=docker) for one in parts],
        }
        body = json.dumps(manifest).encode()
        registry.push_manifest(tag if plain else sha(body), body, kind)
        entries.append(described(MANIFEST, body, docker=docker, platform={"architecture": architecture, "os": "linux"}))
    if plain:
        return str(entries[0]["digest"])
    kind = DOCKER[INDEX] if docker else INDEX
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    return registry.push_manifest(tag, body, kind)


def debian_layer(packages: Sequence[str] = DEBIAN) -> bytes:
    """A root with Debian's packages (its Python, and nothing that runs a shell) as one gzipped layer; made once, kept between runs."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        missing("docker", "a base image is made of Debian's packages: there is no apt-get")
    CACHE.mkdir(parents=True, exist_ok=True)
    kept = CACHE / f"debian-base-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:8]}.tar.gz"
    with (CACHE / "debian-base.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not kept.exists():
            work = CACHE / "debian-base"
            shutil.rmtree(work, ignore_errors=True)
            (work / "debs").mkdir(parents=True)
            if not _download(work / "debs", packages):
                subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True, timeout=300)
                if not _download(work / "debs", packages):
                    missing("docker", "Debian's packages for a base image could not be downloaded")
            for deb in sorted((work / "debs").glob("*.deb")):
                subprocess.run(["dpkg-deb", "-x", deb, work / "root"], check=True, timeout=120)
            shutil.rmtree(work / "root/usr/share/doc", ignore_errors=True)
            _packed(work / "root", work / "layer.tar.gz")
            (work / "layer.tar.gz").replace(kept)
            shutil.rmtree(work)
    return kept.read_bytes()


def _download(to: Path, packages: Sequence[str]) -> bool:
    done = subprocess.run(["apt-get", "download", "-q", *packages], cwd=to, capture_output=True, timeout=300, check=False)
    return done.returncode == 0


def _packed(root: Path, to: Path) -> None:
    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        return info

    with tarfile.open(to, "w:gz", compresslevel=1) as archive:
        for path in sorted(root.iterdir()):
            archive.add(path, path.name, filter=plain)
