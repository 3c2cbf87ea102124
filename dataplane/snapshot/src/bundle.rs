//! A snapshot cut into parts, and joined again.
