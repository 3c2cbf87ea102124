//! The translation bugs that gateways are known for, one test each, named for the bug. The numbers in the comments are of
//! the project's list of them; those that concern other dialects, money or the machine are tested where those live.

#![expect(clippy::expect_used, clippy::panic, reason = "a helper of a test fails the test")]

mod answers;
#[path = "../frames/mod.rs"]
mod frames;
mod natives;
mod play;
mod requests;
mod streams;
