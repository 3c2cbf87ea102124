//! Names of tools that a target would refuse: told to it in another form, and back in its answers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::chat::{Choice, Part, Piece, Request};

/// What names of tools a target takes: letters, digits, `_` and `-`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    /// At most so many.
    pub(super) longest: usize,
    /// The first is a letter or `_`.
    pub(super) letter_first: bool,
}

impl Fit {
    fn takes(self, name: &str) -> bool {
        let first = name.bytes().next().is_some_and(|byte| !self.letter_first || byte.is_ascii_alphabetic() || byte == b'_');
        first && name.len() <= self.longest && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    }

    /// A form of a name that it takes.
    fn form(self, name: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
        let mut form: String = name.chars().map(plain).take(self.longest).collect();
        if !form.is_empty() && !self.takes(&form) {
            form = std::iter::once('_').chain(form.chars()).take(self.longest).collect();
        }
        form
    }
}

/// The names that were changed, by the form that was sent. Two names never share a form.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    given: BTreeMap<String, String>,
}

impl Names {
    /// Changes what a target does not take. Names that fit are never changed.
    pub(super) fn fit(request: &mut Request<'_>, fit: Fit) -> Self {
        let longest = fit.longest;
        let mut taken = BTreeSet::new();
        let mut unfit = BTreeSet::new();
        for name in names_of(request) {
            (if fit.takes(name) { &mut taken } else { &mut unfit }).insert(name.to_string());
        }
        if unfit.is_empty() {
            return Self::default();
        }
        let mut sent = BTreeMap::new();
        let mut number = 1_u32;
        for name in unfit {
            let mut form = fit.form(&name);
            // The number only ever grows, so that many names of one form take no more than linear time.
            while form.is_empty() || !taken.insert(form.clone()) {
                number += 1;
                let tail = format!("_{number}");
                form = form.chars().take(longest - tail.len()).chain(tail.chars()).collect();
            }
            sent.insert(name, form);
        }
        for name in names_of(request) {
            if let Some(form) = sent.get(&**name) {
                *name = Cow::Owned(form.clone());
            }
        }
        Self { given: sent.into_iter().map(|(name, form)| (form, name)).collect() }
    }

    /// The name as the client gave it.
    pub(super) fn given<'a>(&'a self, sent: &'a str) -> &'a str {
        self.given.get(sent).map_or(sent, String::as_str)
    }

    /// The parts of an answer with the client's names.
    pub(super) fn restore(&self, parts: &mut [Part<'_>]) {
        for part in parts {
            if let Part::Call { name, .. } = part
                && let Some(given) = self.given.get(&**name)
            {
                *name = Cow::Owned(given.clone());
            }
        }
    }

    /// A piece of a stream with the client's name.
    pub(super) fn told<'a>(&'a self, piece: Piece<'a>) -> Piece<'a> {
        match piece {
            Piece::Call { id, name, seal } => Piece::Call { id, name: self.given(name), seal },
            Piece::Begin { .. }
            | Piece::Text(_)
            | Piece::Thinking(_)
            | Piece::Signature(_)
            | Piece::Redacted(_)
            | Piece::Arguments(_)
            | Piece::Plan(_)
            | Piece::PartEnd
            | Piece::Refusal(_)
            | Piece::End { .. } => piece,
        }
    }
}

/// Every place that names a tool: the offers, the choice, the calls of the past.
fn names_of<'r, 'a>(request: &'r mut Request<'a>) -> impl Iterator<Item = &'r mut Cow<'a, str>> {
    let offered = request.tools.iter_mut().map(|tool| &mut tool.name);
    let chosen = request.choice.iter_mut().filter_map(|choice| match choice {
        Choice::Named(name) => Some(name),
        Choice::Auto | Choice::None | Choice::Any => None,
    });
    let called = request.turns.iter_mut().flat_map(|turn| &mut turn.parts).filter_map(|part| match part {
        Part::Call { name, .. } => Some(name),
        Part::Text { .. }
        | Part::Image(_)
        | Part::File { .. }
        | Part::Result { .. }
        | Part::Thinking { .. }
        | Part::Redacted { .. }
        | Part::Plan(_) => None,
    });
    offered.chain(chosen).chain(called)
}
