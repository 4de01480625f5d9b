"""What a release changes in a file that is watched: the digest, our annotations, and not a byte beside them."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.deploy.gitops import changed
from mlops_toolkit.errors import UsageError

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
IMAGE = f"reg.example:5000/team/spam@{NEW}"
MANIFEST = f"""# what runs
spec:
  template:
    metadata:
      annotations: {{}}
      # ours
    spec:
      containers:
      - image: "reg.example:5000/team/spam:v1@{OLD}"   # the model
        name: model
      - name: other
        image: reg.example:5000/team/spam-filter@{OLD}
metadata:
  annotations:
    org.mlops/version: v1.0.0
    org.mlops/unknown: x
"""
KUSTOMIZATION = f"""images:
- name: other
  digest: {OLD}
- name: reg.example:5000/team/spam
  digest: {OLD}
resources: [a.yaml]
"""
VALUES = f"""model:
  repository: 'reg.example:5000/team/spam'
  digest: {OLD}
  port: 80
digest: {OLD}
"""


def test_a_manifest_names_the_new_digest_and_version() -> None:
    found = changed(MANIFEST, IMAGE, {"version": "v2.0.0"}, where="x")
    wanted = MANIFEST.replace(f"reg.example:5000/team/spam:v1@{OLD}", IMAGE).replace("v1.0.0", "v2.0.0")
    assert found == wanted
    assert changed(found, IMAGE, {"version": "v2.0.0"}, where="x") == found


@pytest.mark.parametrize("text", [KUSTOMIZATION, VALUES])
def test_only_the_digest_beside_its_name_changes(text: str) -> None:
    found = changed(text, IMAGE, {}, where="x")
    before, after = text.split("\n"), found.split("\n")
    assert [(a, b) for a, b in zip(before, after, strict=True) if a != b] == [(f"  digest: {OLD}", f"  digest: {NEW}")]
    assert before.index("- name: other" if "other" in text else "model:") < next(i for i, line in enumerate(after) if NEW in line)


def test_lines_end_as_they_did() -> None:
    text = MANIFEST.replace("\n", "\r\n")
    assert changed(text, IMAGE, {}, where="x").count("\r\n") == text.count("\r\n")


def test_a_file_without_the_image_is_an_error() -> None:
    with pytest.raises(UsageError, match="names no image") as caught:
        changed("image: reg.example:5000/team/spam-filter:v1\n", IMAGE, {}, where="apps/x.yaml")
    assert (caught.value.name, caught.value.where) == ("no-image-line", "apps/x.yaml")


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30))
def test_a_value_can_add_no_key(value: str) -> None:
    """Versions and runs are texts of others."""
    found = yaml.safe_load(changed(MANIFEST, IMAGE, {"version": value}, where="x"))
    assert set(found["metadata"]["annotations"]) == {"org.mlops/version", "org.mlops/unknown"}
