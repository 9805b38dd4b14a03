"""Models on other storage, by fsspec's storage in memory, which is real storage of its own."""

import fsspec
import pytest

from tumorkeras.errors import MissingExtraError, ModelError
from tumorkeras.scoring import remote
from tumorkeras.scoring.remote import brought_here


@pytest.fixture
def storage():
    storage = fsspec.filesystem("memory")
    storage.pipe({"/exports/cells/2/saved_model.pb": b"graph", "/exports/cells/2/variables/variables.index": b"index"})
    yield storage
    storage.rm("/exports", recursive=True)


@pytest.mark.parametrize("url", ["memory://exports/cells/2", "memory://exports/cells/2/"])
def test_a_version_keeps_its_name_and_number(storage, url):
    with brought_here(url) as folder:
        assert folder.parts[-2:] == ("cells", "2")
        assert (folder / "saved_model.pb").read_bytes() == b"graph"
        assert (folder / "variables" / "variables.index").read_bytes() == b"index"
    assert not folder.exists()


def test_a_model_with_its_versions(storage):
    with brought_here("memory://exports/cells") as folder:
        assert folder.name == "cells"
        assert [path.name for path in folder.iterdir()] == ["2"]


def test_what_is_here_stays_where_it_is(tmp_path):
    for model in (tmp_path, "exports/cells", 3):
        with brought_here(model) as found:
            assert found is model


def test_what_is_not_there(storage, monkeypatch):
    with (
        pytest.raises(ModelError, match="memory://exports/none: there is no such folder"),
        brought_here("memory://exports/none"),
    ):
        pass
    with pytest.raises(ModelError, match="cannot be read"), brought_here("nowhere://exports/cells"):
        pass
    monkeypatch.setattr(remote, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"tumorkeras\[remote\]"), brought_here("memory://exports/cells"):
        pass
