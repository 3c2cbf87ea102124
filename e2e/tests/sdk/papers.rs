//! The page for clients says what the programs do: a section for each of them, with the names of parameters that they use.

use std::collections::BTreeSet;
use std::path::Path;

use crate::install::SOURCES;
use crate::matrix::{FRAMEWORKS, Language};

/// Words right before this mark, in the fenced code of a section.
fn parameters<'a>(section: &'a str, mark: &str) -> BTreeSet<&'a str> {
    let code = section.split("```").skip(1).step_by(2);
    let before = code.flat_map(|code| code.match_indices(mark).map(|(at, _)| &code[..at]));
    let word = |text: &'a str| &text[text.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1)..];
    before.map(word).filter(|word| !word.is_empty()).collect()
}

#[test]
fn the_page_for_clients_names_what_the_programs_use() {
    let page = include_str!("../../../docs/clients.md");
    for (name, language, _, program) in FRAMEWORKS {
        let section = page.split("\n## ").find(|section| section.lines().next() == Some(name));
        let section = section.unwrap_or_else(|| panic!("docs/clients.md has no section {name}"));
        let (file, mark) = match language {
            Language::Python => (format!("python/{program}.py"), "="),
            Language::Node => (format!("node/{program}.mjs"), ": "),
        };
        let source = std::fs::read_to_string(Path::new(SOURCES).join(&file)).expect("a program");
        let named = parameters(section, mark);
        assert!(named.len() >= 2, "{name}: {named:?}");
        for parameter in named {
            let used = [format!("{parameter}{mark}"), format!("{parameter}, "), format!("{parameter} }}"), format!("\"{parameter}\": ")];
            assert!(used.iter().any(|used| source.contains(used)), "{name}: docs/clients.md names `{parameter}`, and {file} does not");
        }
    }
    let sections = page.matches("\n## ").count();
    assert_eq!(sections, FRAMEWORKS.len(), "a section without a program");
}
