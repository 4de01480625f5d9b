"""Reads statements (a JSON list on standard input) by in-toto's own library, which refuses every field that it does not know."""

import json
import sys

from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement, statement_pb2

for document in json.load(sys.stdin):
    read = json_format.ParseDict(document, statement_pb2.Statement())
    statement.Statement.copy_from_pb(read).validate()
    said = {"type": read.predicate_type, "subject": [dict(one.digest) for one in read.subject]}
    if read.predicate_type == "https://slsa.dev/provenance/v1":
        predicate = json_format.ParseDict(document["predicate"], provenance_pb2.Provenance())
        made, run = predicate.build_definition, predicate.run_details
        said["build"] = made.build_type
        said["from"] = [(one.name, dict(one.digest)) for one in made.resolved_dependencies]
        said["parameters"] = json_format.MessageToDict(made.external_parameters)
        said["by"] = [run.builder.id, run.metadata.invocation_id, run.metadata.started_on.ToJsonString()]
    print(json.dumps(said))
