//! What expressions say of calls.

use expr::Failure;

use crate::calls::{ask, call, sent};

#[test]
fn what_holds_holds_and_what_does_not_does_not() {
    for source in [
        "true",
        "request.model == 'gpt-4o-mini'",
        "request.model.startsWith('gpt-') && request.model.endsWith('-mini') && request.model.contains('4o')",
        "request.model.matches('^gpt-[0-9]o')",
        "request.model.matches('4O') == false && request.model.matches('(?i)4O')",
        "request.operation == 'chat'",
        "request.stream",
        "request.bytes > 1000 && request.bytes <= 1200 && request.bytes != 0x10",
        "request.headers['x-tier'] == 'gold'",
        "request.headers.tier.lowerAscii() == 'silver'",
        "request.headers['x-many'] == 'one'",
        "'x-tier' in request.headers && !('x-other' in request.headers)",
        "has(request.headers.tier) && !has(request.headers.other)",
        "has(request.model) && has(request.headers)",
        "key.team == 'research' && key.namespace == 'team-a' && key.name == 'app'",
        "key.user == 'ada' && key.environment in ['staging', 'prod']",
        "has(key.user) && !has(key.application) && !has(key.costCenter)",
        "request.bytes in [1, 1200]",
        "1 + 2 * 3 == 7 && 7 / 2 == 3 && -7 % 3 == -1 && 10 - 4 - 3 == 3",
        "!(1 < 1) && 1 <= 1 && 1 < 2 && !(1 > 1) && 1 >= 1 && 2 > 1 && !(2 <= 1) && !(1 >= 2)",
        "'a' + 'b' == \"ab\"",
        "'a' < 'b' && 'é' > 'a' && true != false && (1 == 1) == true",
        "size('schön') == 5 && 'schön'.size() == 5 && size([1, 2]) == 2",
        "(request.stream ? 'a' : 'b') == 'a' && (request.bytes > 1 ? 1 : 2) == 1 && (false ? false : true)",
        "['x-tier', 'x-other'].exists(h, h in request.headers)",
        "[1, 2, 3].all(n, n > 0) && ![1, 2, 3].all(n, n > 1)",
        "[1, 2, 3].exists_one(n, n == 2) && ![2, 2].existsOne(n, n == 2)",
        "['a', 'b'].exists(a, ['b', 'c'].exists(b, a == b))",
        "['a', 'b'].exists(a, [1, 2].all(n, n > 0 && a == 'b'))",
        "request.headers.exists(h, h.startsWith('x-t')) && !request.headers.all(h, h.startsWith('x-'))",
        "request.headers.exists_one(h, h == 'tier')",
        "r'\\d' == '\\\\d' && '\\u00e9' == 'é' && 'it\\'s' == \"it's\"",
        "// a remark with a ' and !!\n request.stream // and another",
    ] {
        assert_eq!(ask(source), Ok(true), "{source}");
        assert_eq!(ask(&format!("!({source}\n)")), Ok(false), "{source}");
    }
}

#[test]
fn what_a_call_lacks_is_a_failure_with_a_word() {
    for (source, failure) in [
        ("request.headers['x-other'] == 'gold'", Failure::NoHeader),
        ("request.headers.other == 'gold'", Failure::NoHeader),
        ("request.headers['x-' + 'other'] == 'gold'", Failure::NoHeader),
        ("key.application == 'a'", Failure::NoField),
        ("request.headers['x-bytes'] == 'a'", Failure::NotText),
        ("request.headers['x-long'].startsWith('a')", Failure::TooLong),
        ("request.bytes / (request.bytes - 1200) == 1", Failure::Number),
        ("request.bytes % 0 == 1", Failure::Number),
        ("9223372036854775807 + request.bytes > 0", Failure::Number),
        ("-9223372036854775808 - request.bytes > 0", Failure::Number),
        ("(-9223372036854775807 - 1) / -1 > 0", Failure::Number),
        ("request.bytes * 9223372036854775807 > 0", Failure::Number),
        ("[1, 0].all(n, 1 / n == 1)", Failure::Number),
        ("['x-other'].exists(h, request.headers[h] == 'a')", Failure::NoHeader),
        ("['x-tier', 'x-other'].exists_one(h, request.headers[h] == 'gold')", Failure::NoHeader),
        ("request.headers['x-other'] in ['a']", Failure::NoHeader),
        ("(request.headers['x-other'] == 'a') == false", Failure::NoHeader),
    ] {
        assert_eq!(ask(source), Err(failure), "{source}");
    }
}

#[test]
fn one_side_that_decides_is_enough_whatever_befell_the_other() {
    let fails = "request.headers['x-other'] == 'a'";
    for (source, answer) in [
        (format!("{fails} && false"), Ok(false)),
        (format!("false && {fails}"), Ok(false)),
        (format!("{fails} || true"), Ok(true)),
        (format!("true || {fails}"), Ok(true)),
        (format!("{fails} && true"), Err(Failure::NoHeader)),
        (format!("true && {fails}"), Err(Failure::NoHeader)),
        (format!("false || {fails}"), Err(Failure::NoHeader)),
        (format!("{fails} || false"), Err(Failure::NoHeader)),
        ("['x-other', 'x-tier'].exists(h, request.headers[h] == 'gold')".to_owned(), Ok(true)),
        ("['x-other', 'x-tier'].all(h, request.headers[h] == 'silver')".to_owned(), Ok(false)),
        ("['x-other', 'x-tier'].all(h, request.headers[h] == 'gold')".to_owned(), Err(Failure::NoHeader)),
        (format!("true ? true : {fails}"), Ok(true)),
        ("key.user in ['ada', key.application]".to_owned(), Ok(true)),
        ("key.user in [key.application, 'ada']".to_owned(), Ok(true)),
        ("key.user in ['eve', key.application]".to_owned(), Err(Failure::NoField)),
    ] {
        assert_eq!(ask(&source), answer, "{source}");
    }
}

#[test]
fn credentials_are_not_seen_even_when_their_name_is_made_up() {
    for source in [
        "request.headers.exists(h, h == 'authorization' || h == 'cookie')",
        "('author' + 'ization') in request.headers",
        "['cookie'].exists(h, h in request.headers)",
        "('Cook' + 'ie') in request.headers",
    ] {
        assert_eq!(ask(source), Ok(false), "{source}");
    }
    assert_eq!(ask("request.headers['author' + 'ization'] == 'a'"), Err(Failure::NoHeader));
    assert_eq!(ask("request.headers['Author'.lowerAscii() + 'ization'] == 'a'"), Err(Failure::NoHeader));
}

#[test]
fn more_headers_than_are_gone_through_are_a_failure() {
    let program = expr::Program::compile("request.headers.exists(h, h == 'n5')").expect("fine");
    let names: Vec<String> = (0..=expr::HEADERS_MAX).map(|number| format!("n{number}")).collect();
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(program.holds(&call(&sent(&headers))), Err(Failure::TooManyHeaders));
    assert_eq!(program.holds(&call(&sent(&headers[1..]))), Ok(true));
}
