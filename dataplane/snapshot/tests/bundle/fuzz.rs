//! Bytes of a stranger at each door: nothing panics, nothing is taken for a bundle. The bodies are plain functions, so
//! that a fuzzer can drive them too; here a fixed number of mutations does.

use std::sync::LazyLock;

use snapshot::bundle::{self, Index};

use crate::sample::{Store, gateway_id, small};

static WHOLE: LazyLock<Store> = LazyLock::new(|| Store::of(&small()));

/// As the bytes of an index: refused, or the one index that was published.
fn fuzz_index(data: &[u8]) {
    if let Ok(index) = Index::parse(&gateway_id(), data) {
        assert_eq!(Some(index), WHOLE.index());
    }
}

/// As the bytes of every part at once.
fn fuzz_part(data: &[u8]) {
    let index = WHOLE.index_bytes().expect("there");
    assert!(bundle::join(&gateway_id(), index, |_, _| Some(data)).is_err(), "no bytes are all parts");
}

/// As what is inside a part of configuration, well compressed, with an index that vouches for it.
fn fuzz_body(data: &[u8]) {
    fuzz_body_of(snapshot::bundle::EntryKind::Key.part_of("team-a/free"), data);
}

/// As what is inside a part of credentials.
fn fuzz_credentials(data: &[u8]) {
    fuzz_body_of(snapshot::bundle::EntryKind::Credential.part_of("ai/one"), data);
}

fn fuzz_body_of(number: u8, data: &[u8]) {
    let mut store = WHOLE.clone();
    store.forge_part_bytes(number, data);
    if let Ok(joined) = store.join() {
        // Other bytes pass only where they say the same, or what they say of the future is refused.
        let whole = WHOLE.join().expect("whole");
        assert!(!joined.refused.is_empty() || (joined.snapshot == whole.snapshot && joined.credentials == whole.credentials));
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

    /// Flips, cuts, repeats and swaps pieces of a seed, and puts in words that the format knows.
    fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        const WORDS: [&[u8]; 10] =
            [b"null", b"-1", b"18446744073709551616", b"\"", b"{", b"[[[[[[[[", b"\\ud800", b"requires", b"\xff\xfe", b"\x28\xb5\x2f\xfd"];
        let mut bytes = seed.to_vec();
        for _ in 0..=self.next(4) {
            let (from, to) = (self.next(bytes.len()), self.next(bytes.len()));
            let (from, to) = (from.min(to), from.max(to));
            match self.next(5) {
                0 => bytes.truncate(to),
                1 if !bytes.is_empty() => bytes[from] ^= 1 << self.next(8),
                2 => drop(bytes.splice(from..from, WORDS[self.next(WORDS.len())].iter().copied())),
                3 => bytes.extend_from_within(from..to),
                _ => drop(bytes.drain(from..to)),
            }
        }
        bytes
    }
}

fn drive(seeds: &[Vec<u8>], rounds: usize, body: fn(&[u8])) {
    let mut mutator = Mutator(0x2545_f491_4f6c_dd1d);
    body(b"");
    for round in 0..rounds {
        let seed = &seeds[round % seeds.len()];
        body(&mutator.mutate(seed));
    }
}

fn bodies() -> Vec<Vec<u8>> {
    let mut store = WHOLE.clone();
    (0..bundle::PARTS).map(|number| zstd::decode_all(store.part(number).as_slice()).expect("zstd")).collect()
}

#[test]
fn no_bytes_of_an_index_panic() {
    drive(&[WHOLE.index_bytes().expect("there").to_vec()], 2_000, fuzz_index);
}

#[test]
fn no_bytes_of_a_part_panic() {
    drive(&WHOLE.0.values().cloned().collect::<Vec<_>>(), 2_000, fuzz_part);
}

#[test]
fn no_bytes_inside_a_part_panic() {
    drive(&bodies(), 500, fuzz_body);
    drive(&[bodies()[usize::from(snapshot::bundle::EntryKind::Key.part_of("team-a/free"))].clone()], 500, fuzz_body);
    let credentials = usize::from(snapshot::bundle::EntryKind::Credential.part_of("ai/one"));
    drive(&[bodies()[credentials].clone()], 500, fuzz_credentials);
}
