//! Scenarios that must fail: a runner that passes one of them proves nothing.

use serde_json::{Value, json};

use super::{parse, run};
use crate::harness::Backend;

/// Checks that each scenario fails for the expected reason.
pub(super) fn fails_on_wrong_scenarios() {
    let one = json!({"op": "append", "args": {"stream": "s", "events": [{"type": "E"}]}, "save": "one"});
    let step = |step: Value| json!({"name": "wrong", "steps": [one, step]});
    let wrong = [
        (step(json!({"op": "delete_stream", "args": {"stream": "s"}})), "unknown operation"),
        (step(json!({"op": "head", "args": {"limit": 1}})), "unknown key 'limit'"),
        (step(json!({"op": "head", "expects": 1})), "unknown key 'expects'"),
        (
            step(json!({"op": "append", "args": {"stream": "s", "events": [{"type": "E", "kind": 1}]}})),
            "unknown key 'kind'",
        ),
        (step(json!({"op": "head", "on": "other"})), "unknown handle"),
        (step(json!({"op": "read_all", "args": {"after": "$two.position"}})), "unknown placeholder"),
        (step(json!({"op": "read_all", "args": {"after": "$one.place"}})), "unknown placeholder"),
        (step(json!({"op": "read", "args": {"stream": "s"}, "expect": []})), "expected []"),
        (step(json!({"op": "read", "args": {"stream": "s"}, "expect": [{"version": 2}]})), "expected 2"),
        (step(json!({"op": "read", "args": {"stream": "s"}, "error": {"code": "closed"}})), "expected the error"),
        (step(json!({"op": "read", "args": {"stream": ""}, "error": {"code": "closed"}})), "expected \"closed\""),
        (step(json!({"op": "read", "args": {"stream": ""}})), "failed"),
        (
            step(
                json!({"op": "subscribe", "take": 1, "when_caught_up": [{"op": "head", "expect": 9}], "args": {"start": "now"}}),
            ),
            "expected 9",
        ),
        (json!({"name": "wrong", "steps": []}), "must have steps"),
        (json!({"name": "wrong", "steps": [one], "then": 1}), "unknown key 'then'"),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the runtime starts");
    for (scenario, reason) in wrong {
        let text = scenario.to_string();
        let ended = parse(scenario).and_then(|scenario| runtime.block_on(run::run(&scenario, Backend::Memory.room())));
        assert!(ended.as_ref().is_err_and(|error| error.contains(reason)), "{text}: {ended:?}");
    }
}
