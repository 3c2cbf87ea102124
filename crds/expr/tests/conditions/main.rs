//! Expressions: what they say of calls, how they are refused, and that no text does harm.

#![expect(clippy::panic, reason = "helpers of tests panic as tests do")]

mod answers;
mod bytes;
mod calls;
mod papers;
mod refusals;
