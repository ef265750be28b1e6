"""Compares the public classes and their types with generate/surface.json."""

import inspect
import json
import re
import shutil
import subprocess
import sys
import types
import typing
from pathlib import Path

import pytest
import streamkeep as sk
from conftest import ROOT
from streamkeep.handle import OpenOptions

SURFACE = json.loads((ROOT / "generate" / "surface.json").read_text())
CLASSES = {
    "event": sk.Event,
    "recorded_event": sk.RecordedEvent,
    "import_event": sk.ImportEvent,
    "append_result": sk.AppendResult,
    "import_result": sk.ImportResult,
    "page": sk.Page,
    "query_item": sk.QueryItem,
    "snapshot": sk.Snapshot,
}
# The members that Python has besides the fields: the stored form, and constructors.
EXTRA = {"data_bytes", "metadata_bytes", "content_type", "json"}


def here(entry):
    return "python" in entry.get("only", ["python"])


def names(entries):
    return [entry["name"] for entry in entries if here(entry)]


METHODS = {name: entry for name, entry in SURFACE["store"].items() if here(entry)}


def public(cls):
    return {name for name in dir(cls) if not name.startswith("_")}


@pytest.mark.parametrize("face", [sk.EventStore, sk.AsyncEventStore])
def test_a_store_has_the_methods_of_the_surface_and_no_others(face):
    assert public(face) == set(METHODS)


@pytest.mark.parametrize("face", [sk.EventStore, sk.AsyncEventStore])
@pytest.mark.parametrize("name", METHODS)
def test_a_method_takes_what_the_surface_says(face, name):
    parameters = [one for one in inspect.signature(getattr(face, name)).parameters.values() if one.name != "self"]
    positional = [one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    options = [one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        assert name == "open"
        options += list(typing.get_type_hints(OpenOptions))
    assert positional == names(METHODS[name]["arguments"])
    assert options == names(METHODS[name]["options"])
    assert all(one.default is not inspect.Parameter.empty for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY)


@pytest.mark.parametrize("face", [sk.EventStore, sk.AsyncEventStore])
@pytest.mark.parametrize("name", [name for name in METHODS if name != "open"])
def test_an_option_that_is_not_given_has_the_default_of_the_surface(face, name):
    parameters = inspect.signature(getattr(face, name)).parameters
    for option in filter(here, METHODS[name]["options"]):
        default = parameters[option["name"]].default
        if option["type"] == "query":
            assert (option["default"], default) == ([], sk.Query())
        else:
            unbounded = option["type"] == "number" and option.get("default") == "unbounded"
            assert default == (None if unbounded else option.get("default")), option["name"]


@pytest.mark.parametrize("name", SURFACE["types"])
def test_a_type_has_the_fields_of_the_surface(name):
    fields = set(names(SURFACE["types"][name]["fields"]))
    assert fields <= public(CLASSES[name])
    assert public(CLASSES[name]) - fields <= EXTRA


def test_values_have_the_words_of_the_surface():
    assert [one.value for one in sk.ExpectedVersion] == names(SURFACE["values"]["expected"]["words"])
    for name in ("direction", "start", "durability"):
        assert list(typing.get_args(getattr(sk.handle, name.capitalize()))) == names(SURFACE["values"][name]["words"])


def test_there_is_a_class_for_each_code_with_its_fields():
    by_code = {cls.code: cls for cls in sk.StreamkeepError.__subclasses__()}
    assert set(by_code) == set(SURFACE["error"]["codes"])
    for code, fields in SURFACE["error"]["codes"].items():
        assert list(inspect.get_annotations(by_code[code])) == fields
    attributes = set(inspect.get_annotations(sk.StreamkeepError))
    assert attributes == set(SURFACE["error"]["attributes"])


def test_every_type_of_a_public_signature_is_exported():
    modules = [module for name, module in sys.modules.items() if name.startswith("streamkeep.") and not name.endswith("._native")]
    ours = {name for module in modules for name, value in vars(module).items() if name[0].isupper() and belongs(value, module)}
    assert {"AppendResult", "Direction", "Durability", "OpenOptions", "Start"} <= ours
    named = set()
    for public_class in [value for value in vars(sk).values() if inspect.isclass(value)]:
        for name, member in inspect.getmembers(public_class):
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(function) and not name.startswith("_"):
                named |= set(re.findall(r"\w+", " ".join(map(str, function.__annotations__.values()))))
    assert (named & ours) <= set(sk.__all__), (named & ours) - set(sk.__all__)
    assert all(hasattr(sk, name) for name in sk.__all__)


def belongs(value, module):
    """Whether a module of the package defines a class or an alias. An alias does not say where it is from."""
    return (
        module.__name__ == value.__module__
        if inspect.isclass(value)
        else typing.get_origin(value) is not None or isinstance(value, types.UnionType)
    )


def checked(*command):
    done = subprocess.run([*command], capture_output=True, text=True, cwd=ROOT / "bindings-python")  # noqa: PLW1510
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_and_the_programs_on_it_are_strictly_typed():
    folder = Path(sk.__file__).parent
    checked(
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--python-version=3.11",
        "--no-error-summary",
        "--cache-dir",
        "/dev/null",
        "-p",
        "streamkeep",
    )
    assert (folder / "py.typed").exists()
    for program in [*sorted((ROOT / "examples" / "python").glob("*.py")), *sorted((ROOT / "tests" / "bench").rglob("*.py"))]:
        checked(sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", "/dev/null", str(program))


def test_the_stub_says_what_the_native_module_has():
    checked(sys.executable, "-m", "mypy.stubtest", "streamkeep._native")


def test_ruff_has_nothing_to_say():
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    assert ruff, "ruff is not installed beside Python"
    paths = ["python", "tests", "../examples/python", "../tests/digest", "../tests/bench"]
    checked(ruff, "check", "--no-cache", *paths)
    checked(ruff, "format", "--no-cache", "--check", *paths)
