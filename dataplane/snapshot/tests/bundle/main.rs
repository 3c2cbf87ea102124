//! The bundle: what is published joins again, and nothing else does.

mod fuzz;
mod golden;
mod properties;
mod refusals;
mod requires;
mod sample;
mod secrecy;
mod size;
