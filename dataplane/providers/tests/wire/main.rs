//! Answers of kinds that are rare, in the providers' own words: each is read whole where it is whole, and as a stream in one
//! piece, cut in two at every place, and byte by byte.

#![expect(clippy::expect_used, clippy::panic, reason = "a helper of a test fails the test")]

mod amazon;
mod anthropic;
mod client;
mod cohere;
mod google;
mod ollama;
mod openai;
mod servers;
