//! Counting passed, failed and skipped in what test binaries print.

use std::fmt;

use crate::children::Pipe;

/// The counts of a stage.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Tests or checks that passed.
    pub passed: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that did not run: ignored, or a part of them said `SKIPPED`.
    pub skipped: u64,
    reasons: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl Tally {
    /// That of a stage that is one check.
    pub fn of(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), ..Self::default() }
    }

    /// That of a stage that was skipped.
    pub fn skipped(why: &str) -> Self {
        Self { skipped: 1, reasons: vec![why.to_owned()], ..Self::default() }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// What failed, and why something was skipped, each reason once.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

/// Reads the output of `cargo test -- --show-output`, line by line.
#[derive(Debug, Default)]
pub struct Reader {
    tally: Tally,
    place: Place,
    /// Tests of the running binary that skipped themselves; it will count them as passed.
    pretended: u64,
    failure: Failure,
}

/// How far the output of a failed test was read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Failure {
    /// There is none, or all is known of it.
    #[default]
    Told,
    /// Of this test nothing else is known.
    Named(String),
    /// It panicked there, and the next line says why.
    Placed(String, String),
}

/// Whose output a line of a test binary's standard output is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The binary's own.
    #[default]
    Outside,
    /// Shown for tests that passed.
    Successes,
    /// Of one that passed, and that said nothing of a skip so far.
    Passed,
    /// Of one that passed, and that is counted as skipped already.
    Skipped,
    /// Shown for tests that failed.
    Failures,
}

impl Reader {
    /// The next line.
    pub fn line(&mut self, pipe: Pipe, line: &str) {
        if line.starts_with("SKIPPED") {
            return self.skip(pipe, line);
        }
        if pipe == Pipe::Error {
            return;
        }
        self.failure(line);
        if line.starts_with("test ") && line.ends_with(" ... FAILED") {
            self.tally.reasons.push(format!("FAILED {}", &line["test ".len()..line.len() - " ... FAILED".len()]));
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.tally.passed += count(counts, "passed").saturating_sub(std::mem::take(&mut self.pretended));
            self.tally.failed += count(counts, "failed");
            self.tally.skipped += count(counts, "ignored");
            self.place = Place::Outside;
        } else if line == "successes:" {
            self.place = Place::Successes;
        } else if line == "failures:" {
            self.place = Place::Failures;
        } else if line.starts_with("---- ") && line.ends_with(" stdout ----") && self.place != Place::Failures {
            self.place = Place::Passed;
        }
    }

    /// The first panic of a failed test joins its name: it is read where the rest of the output is cut.
    fn failure(&mut self, line: &str) {
        let heading = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"));
        if let (Some(test), Place::Failures) = (heading, self.place) {
            self.failure = Failure::Named(test.to_owned());
            return;
        }
        self.failure = match std::mem::take(&mut self.failure) {
            Failure::Told => Failure::Told,
            Failure::Named(test) => match line.split_once(" panicked at ") {
                Some((_, place)) => Failure::Placed(test, place.trim_end_matches(':').to_owned()),
                None => Failure::Named(test),
            },
            Failure::Placed(test, place) => {
                let name = format!("FAILED {test}");
                let why: String = line.chars().take(300).collect();
                self.tally
                    .reasons
                    .iter_mut()
                    .filter(|reason| **reason == name)
                    .for_each(|reason| *reason = format!("{name}: {why} ({place})"));
                Failure::Told
            }
        };
    }

    /// A test that skips itself has passed in its binary's eyes, and not in ours. Printed by the way, on no test's behalf, it
    /// tells of tests that did not even begin.
    fn skip(&mut self, pipe: Pipe, line: &str) {
        if !self.tally.reasons.iter().any(|known| known == line) {
            self.tally.reasons.push(line.to_owned());
        }
        let place = if pipe == Pipe::Error { Place::Outside } else { self.place };
        match place {
            Place::Outside | Place::Successes => self.tally.skipped += 1,
            Place::Passed => {
                self.tally.skipped += 1;
                self.pretended += 1;
                self.place = Place::Skipped;
            }
            Place::Skipped | Place::Failures => {}
        }
    }

    /// The counts, at the end of the output.
    pub fn end(self) -> Tally {
        self.tally
    }
}

/// The number before a word, as in `3 passed; 0 failed`.
fn count(text: &str, word: &str) -> u64 {
    let before = text.split([';', '.']).filter_map(|part| part.trim().strip_suffix(word));
    before.filter_map(|number| number.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str, errors: &str) -> String {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.line(Pipe::Out, line));
        errors.lines().for_each(|line| reader.line(Pipe::Error, line));
        reader.end().to_string()
    }

    #[test]
    fn results_of_all_binaries_are_summed() {
        let output = "test a ... ok\n\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                      test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 1.25s\n";
        assert_eq!(read(output, ""), "13 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_test_that_skips_itself_counts_as_skipped_and_not_as_passed() {
        let output = "successes:\n\n---- a stdout ----\nSKIPPED a: no x\nSKIPPED a: no y\n\n---- b stdout ----\nhello\n\n\nsuccesses:\n    a\n    b\n\n\
                      test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(read(output, ""), "1 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn a_failed_test_stays_failed_whatever_it_says() {
        let output = "successes:\n\nsuccesses:\n\nfailures:\n\n---- a stdout ----\nSKIPPED a: no x\n\nfailures:\n    a\n\n\
                      test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(read(output, ""), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn what_a_binary_skips_before_its_tests_begin_is_counted() {
        assert_eq!(read("", "     Running tests/x.rs\nSKIPPED tests of the cluster: no nodes\n"), "0 passed, 0 failed, 1 skipped");
        assert_eq!(read("a test printed SKIPPED in passing\n", ""), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn failed_tests_are_named() {
        let mut reader = Reader::default();
        reader.line(Pipe::Out, "test a::b ... ok");
        reader.line(Pipe::Out, "test a::c - should panic ... FAILED");
        assert_eq!(reader.end().reasons(), ["FAILED a::c - should panic"]);
    }

    #[test]
    fn the_first_panic_of_a_failed_test_is_told_with_its_name() {
        let output = "test a::b ... FAILED\ntest c ... FAILED\n\nsuccesses:\n\n---- d stdout ----\nthread 'd' panicked at src/d.rs:1:1:\nexpected\n\n\
                      failures:\n\n---- a::b stdout ----\nhello\n\nthread 'a::b' (17) panicked at src/lib.rs:53:9:\nwaited in vain\nnote: run with\n\
                      thread 'x' panicked at src/x.rs:1:1:\nanother\n\n---- c stdout ----\nError: none\n\nfailures:\n    a::b\n    c\n";
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.line(Pipe::Out, line));
        assert_eq!(reader.end().reasons(), ["FAILED a::b: waited in vain (src/lib.rs:53:9)", "FAILED c"]);
    }

    #[test]
    fn each_reason_is_told_once() {
        let mut reader = Reader::default();
        for line in ["SKIPPED a: no x", "SKIPPED a: no x", "SKIPPED b: no x"] {
            reader.line(Pipe::Error, line);
        }
        assert_eq!(reader.end().reasons(), ["SKIPPED a: no x", "SKIPPED b: no x"]);
    }
}
