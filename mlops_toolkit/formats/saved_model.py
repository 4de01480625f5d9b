"""TensorFlow's SavedModel: a graph, read before it is loaded, so that one which touches files or calls Python is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.formats.base import Answer, Wanted, kind_of, package, room
from mlops_toolkit.formats.manifest import Part
from mlops_toolkit.formats.signature import Arrays, Signature

FOLDER = "saved-model"
SIGNATURE = "serving_default"
# Operations of a graph that reach out of it: files, processes, Python, other machines. Restoring the graph's own weights needs none of them
# in what answers: TensorFlow's saver lives in functions of its own, which name RestoreV2/SaveV2 on the model's own files.
REACHING = frozenset(
    [
        "ReadFile",
        "WriteFile",
        "MatchingFiles",
        "PyFunc",
        "PyFuncStateless",
        "EagerPyFunc",
        "FixedLengthRecordReader",
        "FixedLengthRecordReaderV2",
        "TextLineReader",
        "TextLineReaderV2",
        "WholeFileReader",
        "WholeFileReaderV2",
        "TFRecordReader",
        "TFRecordReaderV2",
        "TFRecordDataset",
        "TFRecordDatasetV2",
        "TextLineDataset",
        "FixedLengthRecordDataset",
        "FixedLengthRecordDatasetV2",
        "SaveSlices",
        "Save",
        "SaveDataset",
        "SaveDatasetV2",
        "LoadDataset",
        "CacheDataset",
        "CacheDatasetV2",
        "DebugIdentity",
        "DebugIdentityV2",
        "DebugIdentityV3",
        "RpcCall",
        "TryRpc",
        "Rpc",
        "DataServiceDataset",
        "DataServiceDatasetV2",
        "RegisterDataset",
        "GcsConfigureCredentials",
        "BigtableClient",
        "SqlDataset",
        "LookupTableExport",
        "PrintV2Unsafe",
        "LMDBDataset",
        "LMDBReader",
        "SnapshotDataset",
        "SnapshotDatasetV2",
        "XlaLaunch_PyFunc",
        "ExperimentalSqlDataset",
        "ExperimentalLMDBDataset",
        "CSVDataset",
        "CSVDatasetV2",
    ]
)


class SavedModel:
    """A `tf.Module` with the signature `serving_default`, or the folder of a SavedModel."""

    name, framework = "saved-model", "tensorflow"
    words: tuple[str, ...] = ()
    packages = ("tensorflow", "numpy")

    def takes(self, model: Any) -> bool:
        if isinstance(model, str | os.PathLike):
            return (Path(model) / "saved_model.pb").is_file()
        return kind_of(model, "tensorflow") and callable(getattr(model, "_trackable_children", None))

    def write(self, model: Any, folder: Path, wanted: Wanted) -> Part:
        tf = package("tensorflow", "tensorflow")
        if isinstance(model, str | os.PathLike):
            shutil.copytree(model, folder / FOLDER)
        else:
            signatures = getattr(model, "signatures", None)
            tf.saved_model.save(model, str(folder / FOLDER), signatures=signatures or _only(model))
        part = Part(self.name, FOLDER)
        try:
            self.read(folder, part)
        except InvalidFile as error:
            raise UsageError(error.name, error.message, hint=error.hint) from error
        return part

    def read(self, folder: Path, part: Part) -> Any:
        room()
        tf = package("tensorflow", "tensorflow")
        place = folder / part.file
        reaching(place)
        try:
            loaded = tf.saved_model.load(str(place))
        except (ValueError, OSError, KeyError, tf.errors.OpError) as error:
            raise InvalidFile("bad-model", f"TensorFlow cannot load it: {str(error)[:300]}", where=str(place)) from error
        if SIGNATURE not in loaded.signatures:
            known = ", ".join(sorted(loaded.signatures)) or "none"
            raise InvalidFile(
                "bad-model",
                f"it has no signature {SIGNATURE} (it has: {known})",
                where=str(place),
                hint=f'tf.saved_model.save(model, FOLDER, signatures={{"{SIGNATURE}": function}})',
            )
        return loaded

    def answers(self, model: Any, signature: Signature, part: Part) -> Answer:
        tf = package("tensorflow", "tensorflow")
        call = model.signatures[SIGNATURE] if getattr(model, "signatures", None) else _only(model).get_concrete_function()

        def answer(arrays: Arrays) -> dict[str, Any]:
            given = {name: tf.constant(array.tolist() if array.dtype == object else array) for name, array in arrays.items()}
            found = {name: value.numpy() for name, value in sorted(call(**given).items())}
            return {name: value.astype(str).astype(object) if value.dtype == object else value for name, value in found.items()}

        return answer


def _only(model: Any) -> Any:
    """The one function of a module that has an input signature, to be its serving_default."""
    call = getattr(model, "__call__", None)  # noqa: B004 -- a tf.function is an object, not only something callable
    if getattr(call, "input_signature", None) is None:
        raise UsageError(
            "no-signature",
            "a tf.Module is stored with the function that answers",
            hint="decorate __call__ with @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, name='input')]), returning a dictionary",
        )
    return call


def reaching(place: Path) -> None:
    """Refuse a graph with operations that touch files or call Python, by reading it. InvalidFile `executing-format`."""
    protos = package("tensorflow", "tensorflow.core.protobuf.saved_model_pb2")
    saved = protos.SavedModel()
    try:
        saved.ParseFromString((place / "saved_model.pb").read_bytes())
    except Exception as error:  # protobuf's own error has no public name
        raise InvalidFile("bad-model", f"saved_model.pb cannot be read: {error}", where=str(place)) from error
    found = set()
    for meta in saved.meta_graphs:
        nodes = [*meta.graph_def.node, *(node for function in meta.graph_def.library.function for node in function.node_def)]
        found |= {node.op for node in nodes} & REACHING
    if found:
        raise InvalidFile(
            "executing-format",
            f"the graph reaches out of itself: {', '.join(sorted(found))}",
            where=str(place),
            hint="leave these operations out of what is exported, or write predict.py with a class Model",
        )


FORMAT = SavedModel()
