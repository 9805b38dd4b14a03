"""Readers whose processes do what they are told."""

import pytest
from made_puppets import PUPPET

from tumorkeras.scoring import helper
from tumorkeras.scoring.reading import Readers, Sample


@pytest.fixture
def log(tmp_path):
    """Grows by a byte with each file that a puppet reads."""
    return tmp_path / "log"


@pytest.fixture
def puppets(tmp_path, log, monkeypatch):
    """Start readers whose processes do what the names of files say."""
    main = tmp_path / "puppet.py"
    main.write_text(PUPPET.format(main=str(helper.MAIN), log=str(log)))
    monkeypatch.setattr(helper, "MAIN", main)
    started = []

    def start(processes=1, timeout=60.0):
        started.append(Readers(processes, Sample((None, None, 1)), timeout))
        return started[-1]

    yield start
    for readers in started:
        readers.close()
