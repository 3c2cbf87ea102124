//! Texts of a stranger: nothing panics or runs for ever. The bodies are plain functions, so that a fuzzer can drive them
//! too; here properties and a fixed number of mutations do.

use expr::{Failure, Program};
use proptest::prelude::{ProptestConfig, any, proptest};

use crate::calls::{Sent, call, usual};

const SEEDS: [&str; 6] = [
    "request.headers['x-tier'] == 'gold' && key.team in ['research', 'b']",
    "request.model.startsWith('gpt') ? true : !request.stream",
    "[1, 2].exists(n, n > request.bytes % 7) || has(request.headers.tier)",
    "request.headers.all(h, h.size() < 20 && request.headers[h] != 'a') // remark",
    "key.user + '/' + key.name == \"ada/app\" && r'\\d' != '\\u00e9'",
    "((request.bytes - 3) * -2 / 5 >= 0x1f) == (request.model.matches('^(a|b)+$'))",
];

const WORDS: [&str; 34] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    ":",
    "?",
    "!",
    "-",
    "&&",
    "||",
    "==",
    "in",
    "has(",
    ".exists(n,",
    ".all(",
    "'",
    "\"",
    "\\",
    "0x",
    "1u",
    "99999999999999999999",
    "'''",
    "\n",
    "//",
    "\u{0}",
    "é",
    "`a b`",
    "@",
    "null",
    "request",
];

/// As an expression. Whether it is taken or not, whoever reads the message gets a short one; what is taken answers.
fn fuzz_source(source: &str) {
    match Program::compile(source) {
        Ok(program) => {
            for headers in [usual(), Sent(Vec::new())] {
                let answer = program.holds(&call(&headers));
                assert_eq!(answer, program.holds(&call(&headers)), "it says the same again: {source}");
            }
        }
        Err(fault) => {
            let message = fault.to_string();
            assert!(message.chars().count() < 1024, "{message}");
            assert!(fault.at.line <= source.lines().count() + 1 && fault.at.column <= source.chars().count() + 1, "{source}: {message}");
        }
    }
}

/// A generator that gives the same mutations in every run.
struct Mutator(u64);

impl Mutator {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % below.max(1)
    }

    fn mutate(&mut self, seed: &str) -> String {
        let mut text: Vec<char> = seed.chars().collect();
        for _ in 0..=self.next(8) {
            let (from, to) = (self.next(text.len() + 1), self.next(text.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            match self.next(6) {
                0 => drop(text.drain(from..to.min(from + 8))),
                1 => {
                    let again = text[from..to].to_vec();
                    drop(text.splice(from..from, again));
                }
                _ => drop(text.splice(from..from, WORDS[self.next(WORDS.len())].chars())),
            }
        }
        text.into_iter().take(expr::SOURCE_CHARACTERS_MAX).collect()
    }
}

#[test]
fn no_mutated_expression_does_harm() {
    let mut mutator = Mutator(0x2545_f491_4f6c_dd1d);
    for round in 0..3_000 {
        fuzz_source(&mutator.mutate(SEEDS[round % SEEDS.len()]));
    }
}

/// Texts that are as deep, as long or as ambiguous as the bounds let them be.
#[test]
fn no_repeated_piece_does_harm() {
    for word in WORDS.into_iter().chain(["!(", "-(", "a.", "a(", "1+", "a?b:", "{1:", "a&&", "a[", "a in ", "!!(", "--(", "[a].all(b,"]) {
        let count = expr::SOURCE_CHARACTERS_MAX / word.chars().count();
        for (count, end) in [(count, ""), (count - 1, "a"), (count / 2, "true"), (20, "true"), (20, "")] {
            fuzz_source(&format!("{}{end}", word.repeat(count)));
        }
    }
    // A parser that reads what stands behind a doubled sign twice would need days for this.
    fuzz_source(&format!("{}true{}", "!!(".repeat(22), ")".repeat(22)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_does_harm(text in "\\PC{0,80}") {
        fuzz_source(&text);
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_source(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn numbers_count_as_numbers_do(a in any::<i32>(), b in any::<i32>()) {
        let (a, b) = (i64::from(a), i64::from(b));
        let asked = |sign: &str, expected: Option<i64>| {
            let program = Program::compile(&format!("({a}) {sign} ({b}) == {}", expected.unwrap_or(0))).expect("arithmetic");
            assert_eq!(program.holds(&call(&Sent(Vec::new()))), expected.map(|_| true).ok_or(Failure::Number), "{a} {sign} {b}");
        };
        asked("+", a.checked_add(b));
        asked("-", a.checked_sub(b));
        asked("*", a.checked_mul(b));
        asked("/", a.checked_div(b));
        asked("%", a.checked_rem(b));
    }
}
