"""Reading a model out of an image's layers, file by file, to know its digest. Nothing is written, and no name in an archive is used as one."""

from __future__ import annotations

import re
import tarfile
from dataclasses import replace
from typing import IO, Any

from mlops_toolkit.models.digest import File, copy_hashed, of_files
from mlops_toolkit.oci.documents import Descriptor

FOLDER, BESIDE = "models/", "usr/share/mlops/"  # where the model lies in an image: /models/NAME/, and what is written of it
PATHS = ("org.cncf.model.filepath", "org.opencontainers.image.title")  # what an artifact's layer names its file by
EXECUTABLE = "vnd.mlops.executable"
MOST_FILES, MOST_HEADER = 100_000, 1 << 20


class _Info(tarfile.TarInfo):
    """A header of an archive; one that would have a long name read into memory is refused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Info:
        found = super().frombuf(buf, encoding, errors)
        if found.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            if not 0 <= found.size <= MOST_HEADER:
                raise ValueError("a header in the archive is too large")
        elif found.type == tarfile.GNUTYPE_SPARSE:
            raise ValueError("a file in the archive has holes")
        return found


class Reader:
    """The files of one model, from the layers that hold it. artifact: the layers hold nothing else."""

    def __init__(self, artifact: bool = False) -> None:
        self._artifact = artifact
        self._files: dict[str, File] = {}
        self._beside: set[str] = set()  # the model's card, which an artifact brings along as a document

    def take(self, layer: Descriptor, stream: IO[bytes]) -> None:
        """Read one layer: an archive, or an artifact's file as it is. ValueError where it is neither, or no model can be made of it."""
        kind = layer.media_type.casefold()
        if kind.endswith("zstd"):
            raise ValueError("it is compressed by zstd, which is not read here")
        if re.search(r"\btar\b", kind):
            self._archive(stream, "r|gz" if kind.endswith("gzip") else "r|")
            return
        path = next((layer.annotations[name] for name in PATHS if name in layer.annotations), None)
        if path is None:
            raise ValueError("it does not name its file")
        if path.startswith(BESIDE) and ".doc." in kind:
            self._beside.add(path)
        self._add(File(path, layer.size, copy_hashed(stream, None), layer.annotations.get(EXECUTABLE) == "true"))

    def _archive(self, stream: IO[bytes], mode: Any) -> None:
        try:
            with tarfile.open(fileobj=stream, mode=mode, tarinfo=_Info, encoding="utf-8", errors="surrogateescape") as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined]  # it would remember every file of a large layer
                    name = member.name.removeprefix("./").lstrip("/")
                    if not member.isdir() and (self._artifact or name.startswith(FOLDER)):
                        self._member(archive, member, name)
        except (tarfile.TarError, EOFError) as error:
            raise ValueError(f"it is no archive: {error}") from error

    def _member(self, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        above, _, last = name.rpartition("/")
        if last.startswith(".wh."):  # how a layer says that a file of the layers below is gone
            gone = f"{above}/" if last == ".wh..wh..opq" else f"{above}/{last.removeprefix('.wh.')}"
            self._files = {path: file for path, file in self._files.items() if not f"{path}/".startswith(f"{gone.rstrip('/')}/")}
            return
        if not member.isreg() or member.issparse():
            raise ValueError("it holds something that is no plain file")
        content = archive.extractfile(member)
        assert content is not None  # noqa: S101 (a regular file has one)
        self._add(File(name, member.size, copy_hashed(content, None), bool(member.mode & 0o100)))

    def _add(self, file: File) -> None:
        if self._artifact and file.path in self._files:
            raise ValueError("it holds a file that is there already")
        if len(self._files) >= MOST_FILES:
            raise ValueError(f"the model has more than {MOST_FILES:,} files")
        self._files[file.path] = file

    def digests(self) -> tuple[str, ...]:
        """As the folder that they are (in an image, the one below /models/), or, of one alone, as the file."""
        if self._artifact:
            beside = [file for path, file in self._files.items() if path not in self._beside]
            return (*_digests(beside), *(_digests(list(self._files.values())) if self._beside else ()))
        names = {path.split("/")[1] for path in self._files}
        if len(names) != 1:
            return ()
        cut = len(FOLDER) + len(names.pop()) + 1
        return _digests([replace(file, path=path[cut:]) for path, file in self._files.items() if len(path) > cut])


def _digests(files: list[File]) -> tuple[str, ...]:
    if not files:
        return ()
    folder = of_files(files, "folder").digest
    return (folder, f"sha256:{files[0].sha256}") if len(files) == 1 else (folder,)
