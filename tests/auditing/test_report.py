"""The report: order, JSON, text, table and HTML, with names that would break each of them."""

from __future__ import annotations

import io
import json

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from read_html import Reader
from rich.console import Console

from tumorkeras.auditing.duplicates import duplicate_findings
from tumorkeras.auditing.findings import Finding
from tumorkeras.auditing.report import AuditReport
from tumorkeras.auditing.report_html import MOST_LISTED
from tumorkeras.errors import DataError

EVIL = '<script>alert("x")</script>&\x1b[31m\n.png'


class Plan:
    """What a plan for training gives."""

    def to_dict(self):
        return {"input_size": (256, 320), "recall": float("nan")}

    def to_yaml(self):
        return "# a < b\ninput_size: [256, 320]\n"


def report_of(*findings, **more):
    return AuditReport("scans", findings, **more)


@pytest.fixture
def report():
    png = cv2.imencode(".png", np.zeros((4, 4), "uint8"))[1].tobytes()
    findings = (
        Finding("fingerprint", "imbalance", "note", "12 to 1", figures={"ratio": 12.0, "table": {"a": 1}}),
        Finding("faults", "unreadable", "error", "1 of 3 images cannot be read", (EVIL,), "Training stops.",
                "Save anew.", {"reasons": {EVIL: "is <no> image"}}),
        Finding("faults", "box_no_area", "warning", "1 box", ("b.png",), "e", "m",
                {"boxes": [{"image": "b.png", "class": "<RBC>", "box": [1.0, 2.0, 1.0, np.nan], "from": "a.csv"}]}),
        Finding("shortcuts", "size", "warning", "size tells", figures={"auc": 0.8576, "n": 1200, "told": True}),
    )  # fmt: skip
    counts = {"images": 3, "readable": 2, "classes": {"a": 3}}
    return report_of(*findings, counts=counts, fingerprint={"mean": np.float32("nan")}, plan=Plan(),
                     seconds={"faults": 1.25, "batch_effects": 0.1}, pictures={"unreadable": png})  # fmt: skip


def test_the_worst_comes_first(report):
    assert [finding.severity for finding in report.findings] == ["error", "warning", "warning", "note"]
    assert report.summary == "scans: 1 error, 2 warnings, 1 note"


def test_pairs_come_once_each_the_most_similar_first():
    ids, parts, classes = ["a.png", "b.png", "c.png"], ["train", "test", "train"], ["benign", "malignant", "benign"]
    pairs = pd.DataFrame({"first": [0, 0], "second": [2, 1], "similarity": [0.8, 0.99], "change": "brightness"})
    findings = duplicate_findings(ids, pairs, parts, classes)
    assert len(findings) == 3  # across parts, across classes, within
    found = report_of(*findings).pairs
    assert found[["first", "second", "second_part", "similarity"]].to_numpy().tolist() == [
        ["a.png", "b.png", "test", 0.99],
        ["a.png", "c.png", "train", 0.8],
    ]


def test_without_copies_there_are_columns_and_no_rows(report):
    assert len(report.pairs) == 0
    assert list(report.pairs)[:2] == ["first", "first_part"]


def test_only_errors_make_it_not_ok(report):
    assert not report.ok
    assert report_of(*report.findings[1:]).ok
    assert report_of().ok


def test_a_row_a_finding(report):
    frame = report.to_frame()
    assert list(frame.columns) == ["severity", "check", "code", "title", "samples", "effect", "mend", "files"]
    assert frame["samples"].tolist() == [1, 1, 0, 0]
    assert frame["files"][0] == (EVIL,)
    assert list(report_of().to_frame().columns) == list(frame.columns)


def test_json_has_no_nan_and_every_file(report):
    found = json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert found == report.to_dict()
    assert found["findings"][0]["files"] == [EVIL]
    assert found["fingerprint"] == {"mean": None}
    assert found["plan"] == {"input_size": [256, 320], "recall": None}
    assert (found["ok"], found["counts"]["classes"]) == (False, {"a": 3})


def test_plain_text_has_no_control_characters(report):
    text = str(report)
    assert text.startswith("scans: 1 error, 2 warnings, 1 note\n\nERROR  1 of 3 images cannot be read\n")
    assert "To mend it: Save anew." in text
    assert "\x1b" not in text
    assert "pt>&\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}.png" in text


def test_the_text_gives_the_reasons_of_the_first_files():
    reasons = {f"{k}.png": f"has fault {k}\n" for k in range(5)}
    text = str(report_of(Finding("faults", "unreadable", "error", "t", tuple(reasons), figures={"reasons": reasons})))
    assert "0.png: has fault 0" in text
    assert "2.png: has fault 2" in text
    assert "3.png" not in text
    assert text.endswith("and 2 more")


def test_long_lists_are_shortened_in_text_only():
    names = tuple(f"{k}.png" for k in range(3000))
    report = report_of(Finding("faults", "empty", "error", "3,000 images", names))
    assert "0.png, 1.png, 2.png, 3.png, 4.png and 2,995 more" in str(report)
    assert len(report.to_dict()["findings"][0]["files"]) == 3000
    page = report.to_html()
    assert page.count("<li>") == MOST_LISTED + 1
    assert "and 2,000 more; the JSON has all" in page


def drawn(report, width=100):
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=True, color_system=None).print(report)
    return stream.getvalue()


def test_the_table_of_the_terminal(report):
    table = drawn(report)
    assert "scans: 1 error" in table
    rows = table[table.index("Found") :]
    assert rows.index("error ") < rows.index("warning ") < rows.index("note ")
    assert "\x1b[31m" not in table
    assert "[/red]" in drawn(report_of(Finding("faults", "x", "note", "a [/red] b")))  # no markup in names
    assert max(map(len, drawn(report, width=60).splitlines())) <= 60
    assert drawn(report_of()).strip() == "scans: 0 errors, 0 warnings, 0 notes"


def test_show_writes_to_the_screen(report, capsys):
    report.show()
    assert "1 of 3 images cannot be read" in capsys.readouterr().out


def test_html_is_whole_and_escaped(report):
    page = report.to_html()
    reader = Reader(page)
    assert "script" not in reader.tags
    assert EVIL in reader.text
    assert "is <no> image" in reader.text
    assert "b.png <RBC> 1, 2, 1, – a.csv" in reader.text
    assert "# a < b" in reader.text
    assert reader.text.index("cannot be read") < reader.text.index("size tells") < reader.text.index("12 to 1")
    assert "Checks made: faults 1.2 s, batch effects 0.1 s." in reader.text
    assert report._repr_html_() == page


def test_figures_are_shown_where_they_are_single_numbers(report):
    text = Reader(report.to_html()).text
    assert "auc0.8576" in text
    assert "n1,200" in text
    assert "toldyes" in text
    assert "table" not in text


def test_pictures_have_a_text_for_those_who_do_not_see_them(report):
    (picture,) = [attributes for tag, attributes in Reader(report.to_html()).attributes if tag == "img"]
    assert picture["src"].startswith("data:image/jpeg;base64,")
    assert picture["alt"] == "Thumbnails: 1 of 3 images cannot be read"


def test_nothing_is_told_by_colour_alone(report):
    text = Reader(report.to_html()).text
    for sign in ("✕1 error", "▲2 warnings", "i1 note"):
        assert sign in text


def test_html_needs_no_network_and_no_script(report):
    page = report.to_html()
    assert "http" not in page
    assert "<script" not in page
    assert "@import" not in page


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=30)
@given(names, names, st.sampled_from(["error", "warning", "note"]))
def test_any_name_and_words_can_be_shown(name, words, severity):
    finding = Finding("faults", "x", severity, words, (name,), words, words, {"reasons": {name: words}, "why": words})
    report = AuditReport(name, (finding,))
    Reader(report.to_html())
    assert all(letter.isprintable() or letter == "\n" for letter in str(report))
    json.loads(report.to_json())
    drawn(report)


def test_its_short_form_names_no_file(report):
    assert repr(report) == "<AuditReport scans: 1 error, 2 warnings, 1 note>"


def test_saved_as_page_and_json(report, tmp_path):
    page = report.save(tmp_path / "audit.html").read_text(encoding="utf-8")
    reader = Reader(page.removeprefix("<!DOCTYPE html>"))
    assert ("html", {"lang": "en"}) in reader.attributes
    assert report.to_html() in page
    assert "Audit of scans" in reader.text
    assert json.loads(report.save(tmp_path / "audit.json").read_text(encoding="utf-8")) == report.to_dict()


def test_a_file_of_another_kind_is_refused(report, tmp_path):
    with pytest.raises(DataError, match=r"ends in '.pdf', expected .html or .json"):
        report.save(tmp_path / "audit.pdf")
    assert list(tmp_path.iterdir()) == []
