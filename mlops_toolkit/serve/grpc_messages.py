"""The messages of the Open Inference Protocol over gRPC, made when the first of them is needed: no generated code, no compiler.

Names and numbers are those of open_inference_grpc.proto (https://github.com/kserve/open-inference-protocol), and of gRPC's own health check
(grpc/health/v1/health.proto), which Kubernetes asks. They are kept in a pool of their own, so that a process which also holds a client of
this protocol does not find them defined twice.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

PACKAGE = "inference"
SERVICE, HEALTH = "inference.GRPCInferenceService", "grpc.health.v1.Health"
# A message a paragraph; a field a line: [repeated|map|oneof] type name number. A dot in a message's name says what it is nested in.
_MESSAGES = """
ServerLiveRequest
ServerLiveResponse
  bool live 1
ServerReadyRequest
ServerReadyResponse
  bool ready 1
ModelReadyRequest
  string name 1
  string version 2
ModelReadyResponse
  bool ready 1
ServerMetadataRequest
ServerMetadataResponse
  string name 1
  string version 2
  repeated string extensions 3
ModelMetadataRequest
  string name 1
  string version 2
ModelMetadataResponse
  string name 1
  repeated string versions 2
  string platform 3
  repeated ModelMetadataResponse.TensorMetadata inputs 4
  repeated ModelMetadataResponse.TensorMetadata outputs 5
ModelMetadataResponse.TensorMetadata
  string name 1
  string datatype 2
  repeated int64 shape 3
InferParameter
  oneof bool bool_param 1
  oneof int64 int64_param 2
  oneof string string_param 3
  oneof double double_param 4
  oneof uint64 uint64_param 5
InferTensorContents
  repeated bool bool_contents 1
  repeated int32 int_contents 2
  repeated int64 int64_contents 3
  repeated uint32 uint_contents 4
  repeated uint64 uint64_contents 5
  repeated float fp32_contents 6
  repeated double fp64_contents 7
  repeated bytes bytes_contents 8
ModelInferRequest
  string model_name 1
  string model_version 2
  string id 3
  map InferParameter parameters 4
  repeated ModelInferRequest.InferInputTensor inputs 5
  repeated ModelInferRequest.InferRequestedOutputTensor outputs 6
  repeated bytes raw_input_contents 7
ModelInferRequest.InferInputTensor
  string name 1
  string datatype 2
  repeated int64 shape 3
  map InferParameter parameters 4
  InferTensorContents contents 5
ModelInferRequest.InferRequestedOutputTensor
  string name 1
  map InferParameter parameters 2
ModelInferResponse
  string model_name 1
  string model_version 2
  string id 3
  map InferParameter parameters 4
  repeated ModelInferResponse.InferOutputTensor outputs 5
  repeated bytes raw_output_contents 6
ModelInferResponse.InferOutputTensor
  string name 1
  string datatype 2
  repeated int64 shape 3
  map InferParameter parameters 4
  InferTensorContents contents 5
"""
# Its enum ServingStatus travels as the number it is.
_HEALTH = """
HealthCheckRequest
  string service 1
HealthCheckResponse
  int32 status 1
"""
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
# The field of InferTensorContents that holds the values of each type; half precision has none.
CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


@functools.cache
def messages() -> Any:
    """The classes by name: `messages().ModelInferRequest`."""
    from google.protobuf import descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    made = {}
    for package, text in ((PACKAGE, _MESSAGES), ("grpc.health.v1", _HEALTH)):
        file = _file(package, text)
        pool.Add(file)
        for message in file.message_type:
            made[message.name] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{message.name}"))
    return SimpleNamespace(**made)


def _file(package: str, text: str) -> Any:
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(name=f"{package.replace('.', '/')}.proto", package=package, syntax="proto3")
    known: dict[str, Any] = {}
    for line in text.strip().splitlines():
        if not line.startswith(" "):
            outer, _, inner = line.partition(".")
            message = known[outer].nested_type.add(name=inner) if inner else file.message_type.add(name=outer)
            known[line], whole = message, f".{package}.{line}"
        else:
            _field(message, whole, line.split(), package)
    return file


def _field(message: Any, whole: str, said: list[str], package: str) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    *label, kind, name, number = said
    field = message.field.add(
        name=name, number=int(number), label=Field.LABEL_REPEATED if label in (["repeated"], ["map"]) else Field.LABEL_OPTIONAL
    )
    if label == ["map"]:  # a repeated message of key and value, by convention
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=Field.LABEL_OPTIONAL, type=Field.TYPE_STRING)
        entry.field.add(name="value", number=2, label=Field.LABEL_OPTIONAL, type=Field.TYPE_MESSAGE, type_name=f".{package}.{kind}")
        field.type, field.type_name = Field.TYPE_MESSAGE, f"{whole}.{entry.name}"
    elif kind[0].isupper():
        field.type, field.type_name = Field.TYPE_MESSAGE, f".{package}.{kind}"
    else:
        field.type = getattr(Field, f"TYPE_{kind.upper()}")
    if label == ["oneof"]:
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
        field.oneof_index = 0
