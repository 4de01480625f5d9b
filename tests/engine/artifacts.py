"""What actions/upload-artifact v4 and download-artifact v4 do, with a folder in the place of GitHub's storage.

Started by the two actions that stand in for them: `artifacts.py upload|download`, inputs as JSON in ARTIFACT. Each run has its
own artifacts; a name is there once in a run; file modes are lost, as in GitHub's archives.
"""

from __future__ import annotations

import fnmatch
import glob
import json
import os
import shutil
import sys
from pathlib import Path

INPUTS = {
    "upload": ("name", "path", "include-hidden-files", "if-no-files-found", "retention-days", "overwrite"),
    "download": ("name", "path", "pattern", "merge-multiple", "run-id", "github-token"),
}


def upload(given: dict[str, str], store: Path) -> str | None:
    """Why it fails, or None. Kept are paths below the folder that all search paths share."""
    patterns = [line.strip() for line in given["path"].splitlines() if line.strip()]
    hidden = given["include-hidden-files"] == "true"
    roots, found = [], []
    for pattern in patterns:
        fixed = pattern.rstrip("/").split("/")
        stars = next((i for i, part in enumerate(fixed) if glob.has_magic(part)), len(fixed))
        roots.append(Path(*fixed[:stars]).absolute() if stars else Path.cwd())
        for match in Path().glob(pattern.rstrip("/")) if glob.has_magic(pattern) else [Path(pattern)]:
            found += [each for each in (match, *match.rglob("*")) if each.is_file()]
    files = [f.absolute() for f in found if hidden or not any(part.startswith(".") for part in f.parts)]
    if not files:
        return "no files were found" if given["if-no-files-found"] == "error" else None
    if len(set(roots)) == 1:
        top = roots[0] if roots[0].is_dir() else roots[0].parent
    else:
        top = Path(os.path.commonpath([root if root.is_dir() else root.parent for root in roots]))
    there = store / given["name"]
    if there.exists():
        if given["overwrite"] != "true":
            return f"Failed to CreateArtifact: an artifact with the name {given['name']} already exists on the workflow run"
        shutil.rmtree(there)
    for file in files:
        copy = there / file.relative_to(top)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return None


def download(given: dict[str, str], store: Path) -> str | None:
    """Why it fails, or None."""
    folder = Path(given["path"] or ".")
    names = sorted(path.name for path in store.iterdir()) if store.is_dir() else []
    if given["name"]:
        if given["name"] not in names:
            return f"Artifact not found for name: {given['name']}"
        names = [given["name"]]
    elif given["pattern"]:
        names = [name for name in names if fnmatch.fnmatchcase(name, given["pattern"])]
    for name in names:
        whole = given["name"] or given["merge-multiple"] == "true"
        shutil.copytree(store / name, folder if whole else folder / name, dirs_exist_ok=True)
    return None


def main(verb: str) -> int:
    """The exit code of the step."""
    given = dict.fromkeys(INPUTS[verb], "") | json.loads(os.environ["ARTIFACT"])
    everything = Path(os.environ["MLOPS_TEST_ARTIFACTS"])
    other = given.get("run-id") if given.get("github-token") else None  # without a token, v4 looks at its own run alone
    store = everything / (other or os.environ["GITHUB_RUN_ID"])
    wrong = upload(given, store) if verb == "upload" else download(given, store)
    print(f"::error::{wrong}" if wrong else f"{verb}: {given['name'] or given.get('pattern') or 'all'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
