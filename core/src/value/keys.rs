//! The rules for keys: no duplicates in an object, and no U+0000.

use std::borrow::Cow;
use std::collections::HashSet;

use super::walk::Visitor;

/// Up to this many keys of an object are compared one by one. More are hashed, so that 100,000 keys do not take
/// quadratic time.
const FEW: usize = 16;

/// Checks the keys of a text. The walker checks everything else.
pub(super) struct Keys<'a> {
    /// The keys of all open objects that have few keys, outermost first.
    few: Vec<Cow<'a, str>>,
    open: Vec<Object<'a>>,
}

struct Object<'a> {
    /// Where its keys begin in `few`.
    start: usize,
    /// All its keys, if it has many.
    many: Option<HashSet<Cow<'a, str>>>,
}

impl Keys<'_> {
    pub(super) const fn new() -> Self {
        Self { few: Vec::new(), open: Vec::new() }
    }
}

impl<'a> Visitor<'a> for Keys<'a> {
    fn object_begin(&mut self) {
        if self.few.capacity() == 0 {
            // Most texts need no more than this one allocation.
            self.few.reserve(2 * FEW);
        }
        self.open.push(Object { start: self.few.len(), many: None });
    }

    fn key(&mut self, key: Cow<'a, str>) -> Result<(), &'static str> {
        // Only an escape can produce it, because the grammar refuses the bare character.
        if matches!(&key, Cow::Owned(unescaped) if unescaped.contains('\0')) {
            return Err("U+0000 in a key");
        }
        let Some(object) = self.open.last_mut() else { return Ok(()) };
        let is_new = if let Some(many) = &mut object.many {
            many.insert(key)
        } else {
            let mine = self.few.get(object.start..).unwrap_or_default();
            let is_new = !mine.contains(&key);
            if mine.len() < FEW {
                self.few.push(key);
            } else {
                let mut many: HashSet<_> = self.few.drain(object.start..).collect();
                many.insert(key);
                object.many = Some(many);
            }
            is_new
        };
        if is_new { Ok(()) } else { Err("a duplicate key") }
    }

    fn object_end(&mut self) {
        if let Some(object) = self.open.pop() {
            self.few.truncate(object.start);
        }
    }
}
