"""The report in a real browser: it needs no network, says nothing on the console, fits a telephone, and prints."""

import html
import re
import shutil
import subprocess

import pytest

from tumorkeras import DataSpec, run

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
NARROW = 400  # pixels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason=f"there is no browser: none of {', '.join(NAMES)}"),
]

MOTION = {
    "name": "motion",
    "source": {"kind": "simulation", "samples_per_class": 12, "frames": 6},
    "input": {"shape": [6, 8, 8, 1], "spacing": [1, 8, 8]},
    "autoencoder": {"filters": [4], "bottleneck": 4},
    "classifier": {"filters": [4], "dense": [4]},
    "training": {"epochs": 2},
    "splits": {"folds": 2},
    "comparison": {"methods": ["majority", "trivial"]},
}
LESIONS = {
    "name": "lesions",
    "tasks": ["detect"],
    "source": {"kind": "phantoms", "samples": 24},
    "input": {"shape": [64, 64, 1]},
    "preprocessing": [{"step": "rescale"}],
    "detector": {"fusion_width": 8, "rpn_proposals": 20, "dense": [8], "max_detections": 4, "score_threshold": 0.01},
    "training": {"epochs": 1, "batch_size": 8, "augment": []},
}


@pytest.fixture(scope="module", params=[MOTION, LESIONS], ids=["motion", "lesions"])
def page(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("job") / "out"
    return run(DataSpec.from_dict(request.param), folder, progress=False).report


def browse(page, folder, *options):
    """What the browser writes to its standard output, and what it says of the page; no host is found."""
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--allow-file-access-from-files", "--enable-logging=stderr"]
    done = subprocess.run([*command, *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_all_pictures_show_and_the_console_is_silent(page, tmp_path):
    """A script beside the page, in a frame of a telephone's width, says what the page measures there."""
    around = tmp_path / "around.html"
    around.write_text(
        f'<iframe id="f" width="{NARROW}" height="800" src="{page.as_uri()}"></iframe><p id="found"></p><script>'
        "f.onload = () => { const d = f.contentDocument, p = [...d.images];"
        "found.textContent = [d.documentElement.scrollWidth, p.length, p.filter(i => i.naturalWidth > 0).length,"
        " p.filter(i => i.alt.length > 10).length].join(' ') }</script>"
    )
    dom, console = browse(around, tmp_path, "--dump-dom", "--virtual-time-budget=20000")
    found = re.search(r'<p id="found">([\d ]+)</p>', html.unescape(dom))
    assert found, dom[-500:]
    width, pictures, shown, with_text = map(int, found[1].split())
    assert width <= NARROW
    assert pictures == shown == with_text > 3
    assert console == []


def test_it_prints(page, tmp_path):
    browse(page, tmp_path, f"--print-to-pdf={tmp_path / 'report.pdf'}", "--no-pdf-header-footer")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert len(content) > page.stat().st_size / 20
