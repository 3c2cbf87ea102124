//! The project's files, and Rust's text taken apart far enough for the laws: code without comments and strings, code
//! without tests, the strings by themselves.

#![expect(clippy::expect_used, reason = "a test that cannot read the project has nothing to say but to panic")]

use std::path::Path;
use std::process::Command;

/// A file of the project.
#[derive(Debug, Clone)]
pub struct File {
    /// From the project's root, with `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl File {
    /// One that is planted by a test.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether it is Rust that goes into a product: no test, no benchmark.
    pub fn is_product(&self) -> bool {
        let product = ["crds/", "dataplane/", "operator/"].iter().any(|package| self.path.starts_with(package));
        product && self.is_rust() && self.path.contains("/src/") && !self.path.contains("/tests")
    }

    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Its code: comments, strings and test modules are blank, lines stay where they are.
    pub fn code(&self) -> String {
        without_tests(&Parted::of(&self.text).code)
    }
}

/// Every file of the project that is tracked, or would be.
pub fn project() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .expect("git lists the files");
    assert!(list.status.success(), "git: {}", String::from_utf8_lossy(&list.stderr));
    let names = String::from_utf8(list.stdout).expect("names in UTF-8");
    let read = |path: &str| Some(File { path: path.to_owned(), text: std::fs::read_to_string(root.join(path)).ok()? });
    let files: Vec<File> = names.split_terminator('\0').filter_map(read).collect();
    assert!(files.len() > 100, "only {} files found", files.len());
    files
}

/// Rust's text, taken apart.
pub struct Parted {
    /// Comments and the insides of strings are spaces; every byte stands where it stood.
    pub code: String,
    /// Where each string begins, and what stands in it, escapes as they are written.
    pub strings: Vec<(usize, String)>,
}

impl Parted {
    /// Takes a text apart.
    pub fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut code = bytes.to_vec();
        let mut strings = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let end = at
                + match rest {
                    [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
                    [b'/', b'*', ..] => find(rest, b"*/").map_or(rest.len(), |close| close + 2),
                    [b'\'', b'\\', ..] => 3 + rest[3..].iter().position(|byte| *byte == b'\'').map_or(0, |close| close + 1),
                    [b'\'', _, b'\'', ..] => 3,
                    [b'"', ..] => quoted(rest),
                    [b'r', ..] if !follows_name(bytes, at) => raw(rest).unwrap_or(0),
                    _ => 0,
                };
            if end == at {
                at += 1;
                continue;
            }
            if matches!(rest[0], b'"' | b'r') {
                strings.push((at, inside(&text[at..end]).to_owned()));
            }
            code[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            at = end;
        }
        Self { code: String::from_utf8_lossy(&code).into_owned(), strings }
    }

    /// The strings inside the function of this name.
    pub fn strings_of_function(&self, name: &str) -> Vec<&str> {
        let Some(start) = self.code.find(&format!("fn {name}(")) else { return Vec::new() };
        let end = start + block(&self.code[start..]);
        self.strings.iter().filter(|(at, _)| (start..end).contains(at)).map(|(_, text)| text.as_str()).collect()
    }
}

fn follows_name(bytes: &[u8], at: usize) -> bool {
    // `br"..."` and `cr"..."` are strings as well.
    at > 0 && is_name(bytes[at - 1]) && !(matches!(bytes[at - 1], b'b' | b'c') && (at < 2 || !is_name(bytes[at - 2])))
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    let open = 1 + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), "#".repeat(hashes).as_bytes()].concat();
    Some(find(&rest[open + 1..], &close).map_or(rest.len(), |at| open + 1 + at + close.len()))
}

fn inside(literal: &str) -> &str {
    literal.trim_start_matches('r').trim_matches('#').trim_matches('"')
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The length of an item from its start: to its semicolon, or to the brace that closes its first one.
fn block(code: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b';' if depth == 0 => return at + 1,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Blanks every item under `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let end = at + block(&rest[at..]);
        kept.push_str(&rest[..at]);
        kept.extend(rest[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

/// Where a word stands by itself in code.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).is_none_or(|before| !is_name(bytes[before]));
        let after = bytes.get(at + word.len()).is_none_or(|after| !is_name(*after));
        let ends_in_name = word.bytes().last().is_some_and(is_name);
        before && (after || !ends_in_name)
    })
}

/// The line of a place, from 1.
pub fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[test]
fn code_has_neither_comments_nor_strings_nor_tests() {
    let file = File::new(
        "dataplane/src/x.rs",
        "use a; // tokio\nlet s = \"hyper\\\" {\"; let c = '\"'; let l: &'static str = r#\"x \" tokio\"#;\n/* tokio */\n#[cfg(test)]\nmod tests {\n    use tokio;\n}\nuse b;\n",
    );
    let code = file.code();
    assert!(!code.contains("tokio") && !code.contains("hyper"), "{code}");
    assert!(code.contains("use a;") && code.contains("use b;") && code.contains("&'static str"), "{code}");
    assert_eq!(code.matches('\n').count(), file.text.matches('\n').count(), "lines stay where they are");
    let strings: Vec<_> = Parted::of(&file.text).strings.into_iter().map(|(_, text)| text).collect();
    assert_eq!(strings, ["hyper\\\" {", "x \" tokio"]);
}
