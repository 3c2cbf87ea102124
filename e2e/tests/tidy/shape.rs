//! How files look: their length, their names, what must not stand in them.

use crate::files::File;

/// Where a file of a product ends; its tests are apart.
const LINES_MAX: usize = 500;

/// Names that say nothing.
const EMPTY_NAMES: [&str; 12] =
    ["util", "utils", "common", "manager", "managers", "helper", "helpers", "misc", "service", "services", "shared_utils", "stuff"];

/// Files of products that are longer than [`LINES_MAX`] without their tests.
pub fn length(files: &[File]) -> Vec<String> {
    let count = |file: &File| file.text.lines().count().min(kept(file));
    let long = files.iter().filter(|file| file.is_product()).map(|file| (file, count(file))).filter(|(_, lines)| *lines > LINES_MAX);
    long.map(|(file, lines)| format!("{}: {lines} lines, of at most {LINES_MAX}", file.path)).collect()
}

/// Lines without those that only tests have.
fn kept(file: &File) -> usize {
    let code = file.code();
    let blank = |text: &str| text.trim().is_empty();
    let tests =
        crate::files::Parted::of(&file.text).code.lines().zip(code.lines()).filter(|(all, kept)| !blank(all) && blank(kept)).count();
    file.text.lines().count() - tests
}

/// Files and folders with names that say nothing.
pub fn names(files: &[File]) -> Vec<String> {
    let rust = files.iter().filter(|file| file.is_rust());
    let empty = rust.filter(|file| file.path.trim_end_matches(".rs").split('/').any(|part| EMPTY_NAMES.contains(&part)));
    empty.map(|file| format!("{}: a name that says nothing", file.path)).collect()
}

/// Absolute paths of the machine that the project was written on.
pub fn machine_paths(files: &[File]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            if ["work", "root"].iter().any(|folder| names_path(line, folder)) {
                offences.push(format!("{}:{}: a path of one machine", file.path, number + 1));
            }
        }
    }
    offences
}

/// Whether `/folder` stands at the start of an absolute path.
fn names_path(line: &str, folder: &str) -> bool {
    let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    line.match_indices(&format!("/{folder}")).any(|(at, found)| {
        let before = line[..at].chars().next_back();
        let after = line[at + found.len()..].chars().next();
        !before.is_some_and(|c| name(c) || matches!(c, '/' | '}' | ')' | '*')) && !after.is_some_and(name)
    })
}

#[test]
fn a_long_file_is_told_and_its_tests_do_not_count() {
    let line = "fn f() {}\n";
    let planted = |text: String| length(&[File::new("dataplane/src/auth.rs", &text)]);
    assert_eq!(planted(line.repeat(500)), [""; 0]);
    assert_eq!(planted(line.repeat(501)), ["dataplane/src/auth.rs: 501 lines, of at most 500"]);
    let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", line.repeat(490), line.repeat(300));
    assert_eq!(planted(tests), [""; 0]);
    assert_eq!(length(&[File::new("e2e/tests/tidy.rs", &line.repeat(501))]), [""; 0], "tests may be longer");
}

#[test]
fn a_name_that_says_nothing_is_told() {
    for path in ["dataplane/src/utils.rs", "crds/src/common/a.rs", "operator/src/manager.rs", "e2e/src/helpers.rs"] {
        assert_eq!(names(&[File::new(path, "")]).len(), 1, "{path}");
    }
    assert_eq!(names(&[File::new("dataplane/src/limits.rs", "")]), [""; 0]);
}

#[test]
fn a_path_of_one_machine_is_told() {
    for (line, told) in [
        (concat!("cd /wo", "rk/main"), true),
        (concat!("HOME=/ro", "ot"), true),
        (concat!("see `/ro", "ot/x`"), true),
        ("uses: .github/workflows/ci.yml", false),
        (concat!("https://example.com/ro", "ot"), false),
        (concat!("a/wo", "rk/b"), false),
        (concat!("/ro", "ots"), false),
    ] {
        assert_eq!(!machine_paths(&[File::new("README.md", line)]).is_empty(), told, "{line}");
    }
}
