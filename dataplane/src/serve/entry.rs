//! What is noted of a call while it goes through the rooms, and the one place where it is closed.

use std::sync::Arc;

use providers::head::Picture;
use providers::passage::Facts;
use snapshot::{Measured, Surface, Unit};

use crate::clock::{Clock, Instant};
use crate::exchange::{Call, CallId, ClientRequestId, Ending, Grant, Outcome, Plan, Unanswered};
use crate::ledger::{self, Books};
use crate::limits::Hold;
use crate::live::Live;
use crate::relay::{Closing, Ended, How};
use crate::upstream::Trace;

/// An open line in the books. Dropped without a close, the client has left.
pub struct Entry {
    books: Arc<Books>,
    clock: Clock,
    began: Instant,
    hold: Option<Hold>,
    /// Letters to be spoken: who speaks them tells no number.
    spoken: Option<Measured>,
    /// Kept here, so that a client that leaves amid an attempt leaves it in the books.
    trace: Trace,
    /// Taken when it is closed. Boxed, because entries move through futures.
    outcome: Option<Box<Outcome>>,
    live: Arc<Live>,
}

impl Entry {
    /// Opens a line.
    #[must_use]
    pub fn open(
        books: Arc<Books>,
        clock: Clock,
        live: Arc<Live>,
        call: CallId,
        client_request: Option<ClientRequestId>,
        surface: Option<Surface>,
    ) -> Self {
        let outcome = Outcome {
            call,
            client_request,
            received_unix_ms: clock.unix_ms(),
            surface,
            live: live.clone(),
            key: None,
            model_asked: None,
            model_served: None,
            rule: None,
            unanswered: None,
            attempt: None,
            attempts: 0,
            translated: false,
            stream: false,
            status: 0,
            ending: Ending::ClientGone,
            usage: None,
            measured: None,
            unpriced: false,
            picture: Picture::default(),
            total: std::time::Duration::ZERO,
            first_byte: None,
            upstream_wait: std::time::Duration::ZERO,
            request_bytes: 0,
            answer_bytes: 0,
            detail: None,
        };
        let began = clock.now();
        Self { books, clock, began, hold: None, spoken: None, trace: Trace::default(), outcome: Some(Box::new(outcome)), live }
    }

    /// The configuration of this call.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Whose call it is.
    pub fn known(&mut self, grant: &Grant) {
        self.note(|outcome| outcome.key = Some(grant.key.clone()));
    }

    pub(super) fn asked(&mut self, call: &Call, hold: Hold) {
        self.hold = Some(hold);
        self.spoken = call.head.characters.and_then(|count| Measured::whole(Unit::Character, count));
        self.note(|outcome| {
            let of_a_model = call.through.is_none() && call.stored.is_none();
            outcome.model_asked = of_a_model.then(|| call.head.model.as_str().into());
            outcome.stream = call.head.stream;
            outcome.picture = call.head.picture.clone();
            outcome.request_bytes = call.body.bytes();
        });
    }

    pub(super) fn unanswered(&mut self, unanswered: Option<Unanswered>) {
        self.note(|outcome| outcome.unanswered = unanswered);
    }

    pub(super) fn planned(&mut self, plan: &Plan) {
        self.note(|outcome| outcome.rule.clone_from(&plan.rule));
    }

    pub(super) fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// The head that the client gets.
    pub fn answered_with(&mut self, status: u16) {
        self.note(|outcome| outcome.status = status);
    }

    /// Closes the line of a call whose whole answer the door gives itself: a refusal, a failure, a list.
    pub fn end_at_door(mut self, status: u16, ending: Ending, answer_bytes: u64) {
        self.note(|outcome| {
            outcome.status = status;
            outcome.ending = ending;
            outcome.answer_bytes = answer_bytes;
        });
        self.close();
    }

    fn note(&mut self, write: impl FnOnce(&mut Outcome)) {
        if let Some(outcome) = &mut self.outcome {
            write(outcome);
        }
    }

    fn close(&mut self) {
        self.hold = None;
        if let Some(mut outcome) = self.outcome.take() {
            outcome.total = self.clock.now() - self.began;
            let Trace { attempt, attempts, translated, dropped: _, wait, detail } = std::mem::take(&mut self.trace);
            outcome.attempt = attempt;
            outcome.attempts = attempts;
            outcome.translated = translated;
            outcome.upstream_wait = wait;
            outcome.detail = outcome.detail.or(detail);
            ledger::close(&self.books, &outcome);
        }
    }
}

impl Closing for Entry {
    fn first_byte(&mut self) {
        let since = self.clock.now() - self.began;
        self.note(|outcome| outcome.first_byte = Some(since));
    }

    fn end(&mut self, ended: Ended) {
        let Ended { facts: Facts { usage, measured, model, .. }, bytes, how, unpriced } = ended;
        let measured = measured.or(self.spoken);
        self.note(|outcome| {
            outcome.usage = usage;
            outcome.measured = measured;
            outcome.unpriced = unpriced;
            outcome.model_served = model.map(Into::into);
            outcome.answer_bytes = bytes;
            outcome.ending = match how {
                How::InFull => Ending::Answered,
                How::ClientGone => Ending::ClientGone,
                How::Broken(fault) => {
                    outcome.detail = Some(format!("after the first byte: {}", fault.class.word()));
                    Ending::Failed(fault.class)
                }
            };
        });
        self.close();
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.close();
    }
}
