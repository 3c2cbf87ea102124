//! A call to ask about.

use expr::{Call, Failure, Headers, Key, Program};

/// Headers in order.
pub struct Sent(pub Vec<(String, Vec<u8>)>);

impl Headers for Sent {
    fn first(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// Headers as texts.
pub fn sent(headers: &[(&str, &str)]) -> Sent {
    Sent(headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
}

/// The headers of [`ask`].
pub fn usual() -> Sent {
    let mut sent = sent(&[
        ("authorization", "Bearer the-key"),
        ("x-tier", "gold"),
        ("x-many", "one"),
        ("x-many", "two"),
        ("tier", "Silver"),
        ("x-long", &"a".repeat(expr::TEXT_BYTES_MAX + 1)),
        ("cookie", "c"),
    ]);
    sent.0.push(("x-bytes".to_owned(), vec![0xff]));
    sent
}

/// What an expression says of one and the same call.
pub fn ask(source: &str) -> Result<bool, Failure> {
    let program = Program::compile(source).unwrap_or_else(|fault| panic!("{source}: {fault}"));
    program.holds(&call(&usual()))
}

/// A call with these headers.
pub fn call(headers: &Sent) -> Call<'_, Sent> {
    let key = Key {
        namespace: "team-a",
        name: "app",
        team: "research",
        user: Some("ada"),
        application: None,
        environment: Some("prod"),
        cost_center: None,
    };
    Call { model: "gpt-4o-mini", operation: "chat", stream: true, bytes: 1200, headers, key }
}
