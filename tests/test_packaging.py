"""What a fresh clone stands on: the README's commands, the dependencies and their pins."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tumorkeras

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def setup_cfg():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in requirements}


def requirements(text):
    lines = [line.strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "%"))]


def extras(setup_cfg):
    return setup_cfg["options.extras_require"]


def readme_command(name):
    script = ROOT / ".ci" / "readme_command"
    return subprocess.run(["bash", str(script), name], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", ["run", "test"])
def test_readme_command_starts_from_nothing_and_names_files_that_exist(name, setup_cfg):
    command = readme_command(name)
    environment, install, work = command.split(" && ")
    assert environment == "python3 -m venv .venv"
    assert install.startswith(".venv/bin/pip install -c constraints.txt ")
    assert work.startswith(".venv/bin/")
    for extra in re.findall(r"\[(\w+)\]", install):
        assert extra in extras(setup_cfg)
    for file in re.findall(r"[\w/]+\.(?:txt|yaml)", command):
        assert (ROOT / file).is_file(), f"the README's command names {file}, which is not there"


def test_readme_command_refuses_a_name_the_readme_does_not_have():
    with pytest.raises(subprocess.CalledProcessError):
        readme_command("nothing")


def test_ci_takes_its_test_command_from_the_readme():
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "readme_command test" in text
    assert text.rstrip().endswith('bash -c "$test_command"')


def test_readme_code_uses_public_names_only():
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
    used = {
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tk"
    }
    assert used
    assert used <= set(tumorkeras.__all__)


def test_readme_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [t for t in targets if not t.startswith("https://") and not (ROOT / t).exists()]
    assert not missing


def test_every_dependency_is_bounded_and_pinned_inside_its_range(setup_cfg, pins):
    wanted = requirements(setup_cfg["options"]["install_requires"])
    wanted += [r for text in extras(setup_cfg).values() for r in requirements(text)]
    for requirement in wanted:
        operators = {clause.operator for clause in requirement.specifier}
        assert {">=", "<"} <= operators, f"{requirement} lacks a bound"
        pin = next(iter(pins[canonicalize_name(requirement.name)].specifier))
        assert pin.operator == "=="
        assert pin.version in requirement.specifier, f"{requirement} does not allow {pin.version}"


def test_constraints_hold_versions_only(pins):
    for pin in pins.values():
        assert pin.url is None
        assert len(pin.specifier) == 1


def test_named_extras_exist(setup_cfg):
    assert set(extras(setup_cfg)) >= {"medical", "spark", "serving", "notebooks", "test", "dev", "formats"}


def test_version_is_said_once(setup_cfg):
    assert tumorkeras.__version__ == setup_cfg["metadata"]["version"]
    assert f"[{tumorkeras.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
