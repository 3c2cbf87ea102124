//! The page of the configuration says what is declared.

#[test]
fn the_papers_name_every_variable_function_and_bound() {
    let page = include_str!("../../../../docs/configuration.md");
    let rows = expr::VARIABLES.map(|(name, kind, meaning)| format!("| `{name}` | {kind} | {meaning} |"));
    let functions = expr::FUNCTIONS.map(|(name, meaning)| format!("| `{name}` | {meaning} |"));
    let withheld = expr::WITHHELD.map(|name| format!("`{name}`"));
    let failures = expr::Failure::ALL.map(|failure| format!("`{}`", failure.word()));
    let bounds = [expr::SOURCE_CHARACTERS_MAX as u64, expr::COST_MAX, expr::TEXT_BYTES_MAX as u64, expr::HEADERS_MAX as u64];
    let bounds = bounds.map(|bound| bound.to_string());
    for said in rows.iter().chain(&functions).chain(&withheld).chain(&failures).chain(&bounds) {
        assert!(page.contains(said), "docs/configuration.md lacks: {said}");
    }
}
