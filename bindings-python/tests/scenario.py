"""Runs a scenario of tests/scenarios through either store class. It fails on everything that it does not know."""

import base64
import dataclasses
import datetime as dt
import inspect
import json
import secrets
import uuid

import streamkeep as sk
from conftest import ROOT

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
STEP_KEYS = {"op", "args", "on", "expect", "error", "save", "as", "take", "when_caught_up"}
EVENT_KEYS = {"type", "data", "metadata", "tags", "id", "schema"}
OPERATIONS = {
    name: entry
    for name, entry in json.loads((ROOT / "generate" / "surface.json").read_text())["store"].items()
    if "python" in entry.get("only", ["python"])
}


async def settled(answer):
    return await answer if inspect.isawaitable(answer) else answer


def driven(steps):
    """Runs a coroutine that never waits, as with the blocking store."""
    try:
        steps.send(None)
    except StopIteration:
        return
    raise AssertionError("the blocking store waited")


class Run:
    def __init__(self, face, base, folder):
        self.face = face
        self.namespace = f"s_{secrets.token_hex(6)}"
        self.base = {"memory:": f"memory:n{secrets.token_hex(6)}", "sqlite:": f"sqlite:{folder}/{secrets.token_hex(6)}.db"}.get(base, base)
        self.handles = {}
        self.saved = {}

    async def scenario(self, scenario):
        known(scenario, {"name", "steps", "open"})
        try:
            await self.open("store", scenario.get("open", {}))
            await self.steps(scenario["steps"])
        finally:
            for handle in self.handles.values():
                await settled(handle.close())

    async def steps(self, steps):
        for number, step in enumerate(steps, 1):
            try:
                await self.step(step)
            except (AssertionError, sk.StreamkeepError) as error:
                error.add_note(f"in step {number}: {json.dumps(step)[:300]}")
                raise

    async def step(self, step):
        known(step, STEP_KEYS)
        assert not ("expect" in step and "error" in step)
        args = self.resolved(step.get("args", {}))
        if "error" in step:
            try:
                answer = await self.perform(step, args)
            except sk.StreamkeepError as error:
                agree(self.resolved(step["error"]), facts(error), "error")
            else:
                raise AssertionError(f"no error, but {answer!r}")
            return
        answer = await self.perform(step, args)
        if "expect" in step:
            agree(self.resolved(step["expect"]), answer, "answer")
        if "save" in step:
            self.saved[step["save"]] = answer

    async def perform(self, step, args):
        op = step["op"]
        assert op in OPERATIONS, f"unknown operation {op}"
        if op == "open":
            return await self.open(step["as"], args)
        store = self.handles[step.get("on", "store")]
        args = taken(OPERATIONS[op], args)
        if op == "subscribe":
            return await self.subscribe(store, step, args)
        arguments = [args.pop(argument["name"]) for argument in OPERATIONS[op]["arguments"]]
        return told(await answer(getattr(store, op)(*arguments, **args)))

    async def open(self, name, args):
        args = taken(OPERATIONS["open"], args)
        extra = args.pop("url", "")
        extra = extra.replace("?", "&", 1) if "?" in self.base else extra
        own = args.pop("namespace", None)
        namespace = self.namespace if own is None else f"{self.namespace}_{own}"
        self.handles[name] = await settled(self.face.open(self.base + extra, namespace=namespace, **args))

    async def subscribe(self, store, step, args):
        waiting = [step["when_caught_up"]] if "when_caught_up" in step else []
        take, seen = step.get("take"), []

        async def caught_up():
            if waiting:
                await self.steps(waiting.pop())
            if take is None:
                await settled(subscription.aclose() if asynchronous else subscription.close())

        asynchronous = self.face is sk.AsyncEventStore
        on_caught_up = caught_up if asynchronous else lambda: driven(caught_up())
        subscription = store.subscribe(**args, on_caught_up=on_caught_up)
        if asynchronous:
            async with subscription:
                async for one in subscription:
                    seen.append(recorded(one))
                    if len(seen) == take:
                        break
        else:
            with subscription:
                for one in subscription:
                    seen.append(recorded(one))
                    if len(seen) == take:
                        break
        return seen

    def resolved(self, value):
        if isinstance(value, dict):
            return {key: self.resolved(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.resolved(one) for one in value]
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        if value.startswith("$$"):
            return value[1:]
        name, *path = value[1:].split(".")
        answer = self.saved[name]
        for part in path:
            answer = answer[int(part)] if isinstance(answer, list) else answer[part]
        return answer


def known(given, keys):
    assert set(given) <= keys, f"unknown: {set(given) - keys}"


def taken(operation, args):
    """Converts the arguments and options of an operation, each by its type."""
    kinds = {one["name"]: one["type"] for one in operation["arguments"] + operation["options"]}
    names = {name: name.removesuffix("_ms") if kinds.get(name.removesuffix("_ms")) == "duration" else name for name in args}
    known(names.values(), set(kinds))
    return {names[name]: CONVERT.get(kinds[names[name]], same)(value) for name, value in args.items()}


def same(value):
    return value


def expected(given):
    return sk.ExpectedVersion(given) if isinstance(given, str) else given


def query(items):
    made = sk.Query(**items[0]) if items else sk.Query()
    for item in items[1:]:
        made |= sk.Query(**item)
    return made


def event(given):
    known(given, EVENT_KEYS)
    rest = {name: given[name] for name in ("metadata", "tags", "schema") if name in given}
    if "id" in given:
        rest["id"] = uuid.UUID(given["id"])
    match given:
        case {"data": str(text)}:
            return sk.Event.json(given["type"], text, **rest)
        case {"data": {"base64": text}}:
            return sk.Event(given["type"], base64.b64decode(text), **rest)
    assert "data" not in given
    return sk.Event(given["type"], **rest)


def imported(given):
    known(given, {"stream", "version", "recorded_at", "event"})
    micros = given.get("recorded_at")
    recorded_at = None if micros is None else EPOCH + dt.timedelta(microseconds=micros)
    return sk.ImportEvent(given["stream"], event(given["event"]), given.get("version"), recorded_at)


def snapshot(given):
    known(given, {"stream", "version", "schema", "data"})
    place = given["stream"], given["version"], given["schema"]
    match given["data"]:
        case {"base64": text}:
            return sk.Snapshot(*place, base64.b64decode(text))
        case str(text):
            return sk.Snapshot.json(*place, text)


CONVERT = {
    "event[]": lambda given: list(map(event, given)),
    "import_event[]": lambda given: list(map(imported, given)),
    "snapshot": snapshot,
    "query": query,
    "expected": expected,
    "duration": lambda milliseconds: milliseconds / 1000,
}


def payload(content):
    if content.content_type == "application/json":
        return content.data_bytes.decode()
    return {"base64": base64.b64encode(content.data_bytes).decode()}


def told(result):
    """Tells an answer in the format of the scenarios."""
    if isinstance(result, list):
        return list(map(told, result))
    if isinstance(result, sk.RecordedEvent):
        return recorded(result)
    if isinstance(result, sk.Snapshot):
        return {name: getattr(result, name) for name in ("stream", "version", "schema")} | {"data": payload(result)}
    if dataclasses.is_dataclass(result):
        return {field.name: told(getattr(result, field.name)) for field in dataclasses.fields(result)}
    return result


def recorded(one):
    return {
        "stream": one.stream,
        "version": one.version,
        "position": one.position,
        "id": str(one.id),
        "type": one.type,
        "data": payload(one),
        "metadata": one.metadata_bytes.decode(),
        "tags": list(one.tags),
        "schema": one.schema,
        "content_type": one.content_type,
        "recorded_at": (one.recorded_at - EPOCH) // dt.timedelta(microseconds=1),
    }


async def answer(result):
    """Waits for a result, and reads events to their end."""
    if hasattr(result, "__aiter__"):
        return [one async for one in result]
    result = await settled(result)
    return list(result) if inspect.isgenerator(result) else result


def facts(error):
    told = {"code": error.code} | vars(error)
    told["ids"] = [str(id_) for id_ in error.ids]
    return {name: str(value) if isinstance(value, uuid.UUID) else value for name, value in told.items()}


def agree(expected, actual, where):
    if isinstance(expected, dict):
        assert isinstance(actual, dict), f"{where}: {actual!r} is no object"
        for key, value in expected.items():
            assert value is None or key in actual, f"{where} has no {key}: {actual!r}"
            agree(value, actual.get(key), f"{where}.{key}")
    elif isinstance(expected, list):
        assert isinstance(actual, list), f"{where}: {actual!r} is no list"
        assert len(actual) == len(expected), f"{where}: {len(expected)} expected, {len(actual)} given: {actual!r}"
        for place, (one, other) in enumerate(zip(expected, actual, strict=True)):
            agree(one, other, f"{where}.{place}")
    else:
        assert expected == actual, f"{where}: expected {expected!r}, is {actual!r}"
        assert isinstance(expected, bool) == isinstance(actual, bool), f"{where}: expected {expected!r}, is {actual!r}"
