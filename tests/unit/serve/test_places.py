"""Which models lie in a folder, and which of them is to be served: decided by what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.serve.places import Place, order, search, wanted


def lay(folder: Path, text: str = "{}") -> Path:
    folder.mkdir(parents=True)
    (folder / "mlops-model.json").write_text(text)
    return folder


def named(found: list[Place]) -> list[tuple[str, str]]:
    return sorted((place.name, place.version) for place in found)


def test_a_model_models_and_versions(tmp_path: Path) -> None:
    lay(tmp_path / "flat")
    lay(tmp_path / "several" / "1")
    lay(tmp_path / "several" / "2")
    lay(tmp_path / ".hidden")
    (tmp_path / "nothing" / "here").mkdir(parents=True)
    found, wrong = search([tmp_path])
    assert named(found) == [("flat", "44136fa355b3"), ("several", "1"), ("several", "2")]
    assert wrong == []
    assert named(search([tmp_path / "flat"])[0]) == [("flat", "44136fa355b3")]
    assert named(search([tmp_path / "flat"], "other")[0]) == [("other", "44136fa355b3")]


def test_a_link_is_what_it_points_to_now(tmp_path: Path) -> None:
    lay(tmp_path / "a", '{"a": 1}')
    lay(tmp_path / "b", '{"b": 1}')
    models = tmp_path / "models"
    models.mkdir()
    (models / "m").symlink_to(tmp_path / "a")
    [before] = search([models])[0]
    (models / "m").unlink()
    (models / "m").symlink_to(tmp_path / "b")
    [after] = search([models])[0]
    assert before.folder == tmp_path / "a"
    assert (after.name, after.folder) == ("m", tmp_path / "b")
    assert before.print != after.print
    assert before.version != after.version
    (models / "m").unlink()
    (models / "m").symlink_to(tmp_path / "gone")
    assert search([models]) == ([], [])


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    lay(tmp_path / "one" / "m" / "1")
    lay(tmp_path / "two" / "m" / "1")
    lay(tmp_path / "one" / "a b")
    found, wrong = search([tmp_path / "one", tmp_path / "two", tmp_path / "no"])
    assert named(found) == [("m", "1")]
    assert found[0].folder == tmp_path / "one" / "m" / "1"
    assert len(wrong) == 3
    assert any("the first is served" in sentence for sentence in wrong)
    assert any("there is no such folder" in sentence for sentence in wrong)


@pytest.mark.parametrize(
    ("versions", "newest"), [(("9", "10"), "10"), (("v1.9.0", "v1.10.0"), "v1.10.0"), (("1.0", "1.0.1"), "1.0.1"), (("a", "2"), "a")]
)
def test_numbers_in_versions_count_as_numbers(versions: tuple[str, ...], newest: str) -> None:
    assert max(versions, key=order) == newest


def place(version: str, mark: int = 0) -> Place:
    return Place("m", version, Path("/m") / version, (version, mark, 0, 0))


def test_the_newest_that_does_not_fail() -> None:
    one, two, three = place("1"), place("2"), place("3")
    assert wanted([one, two], {}, [], every=False) == ([two], [])
    assert wanted([one, two, three], {"2": two.print}, [], every=False) == ([three], ["2"])
    assert wanted([one, two, three], {"2": two.print}, [three.print], every=False) == ([], [])
    assert wanted([one, three], {}, [three.print], every=False) == ([one], [])
    assert wanted([three], {"2": two.print}, [three.print], every=False) == ([], [])  # nothing good: what answers goes on
    assert wanted([place("2", 1)], {"2": two.print}, [], every=False) == ([place("2", 1)], [])
    assert wanted([one], {"2": two.print}, [], every=False) == ([one], ["2"])


def test_every_version() -> None:
    one, two = place("1"), place("2")
    assert wanted([one, two], {}, [], every=True) == ([two, one], [])
    assert wanted([one], {"1": one.print, "2": two.print}, [], every=True) == ([], ["2"])
    assert wanted([one, two], {"1": one.print}, [two.print], every=True) == ([], [])
