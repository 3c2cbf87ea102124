//! What is not taken, where it stands and what is said of it.

use expr::{COST_MAX, Program, SOURCE_CHARACTERS_MAX, Why};

fn refused(source: &str) -> String {
    match Program::compile(source) {
        Ok(_) => panic!("{source} is taken"),
        Err(fault) => fault.to_string(),
    }
}

/// Expressions, and what is said of each.
const REFUSED: &[(&str, &str)] = &[
    // Names.
    ("reqest.stream", "column 1: unknown name `reqest`; did you mean `request`?"),
    ("true && tenant == 'a'", "column 9: unknown name `tenant`; request and key are known"),
    ("request.modle == 'a'", "column 8: `request` has no field `modle`; did you mean `model`?"),
    ("true &&\n  key.costcenter == 'a'", "line 2, column 6: `key` has no field `costcenter`; did you mean `costCenter`?"),
    ("key.secret == 'a'", "column 4: `key` has no field `secret`; see docs/configuration.md"),
    ("request.model.startswith('a')", "column 25: unknown function `startswith`; did you mean `startsWith`?"),
    ("now() > 1", "column 4: unknown function `now`; see docs/configuration.md"),
    ("'é' == request.modell", "column 15: `request` has no field `modell`; did you mean `model`?"),
    // Types.
    ("request.model", "column 8: a condition must be true or false, and this is a text; compare it with something"),
    ("request.bytes + 1", "column 15: a condition must be true or false, and this is a number; compare it with something"),
    ("request", "column 1: a condition must be true or false, and this is the whole `request`; compare it with something"),
    ("request.bytes == '1'", "column 18: `==` takes a number, not a text"),
    ("request.model > 4", "column 17: `>` takes a text, not a number"),
    ("request.stream && request.model", "column 26: `&&` takes a condition, not a text"),
    ("request.stream < true", "column 16: the order of conditions cannot be used here; compare them with `==` or `!=`"),
    ("request == key", "column 1: `==` takes texts, numbers or conditions, not the whole `request`"),
    ("!request.model", "column 9: `!` takes a condition, not a text"),
    ("request.model - 'a' == ''", "column 8: `-` takes a number, not a text"),
    ("request.bytes in ['a']", "column 8: `in` takes a text, not a number"),
    ("'a' in request.model", "column 15: `in` takes a list or `request.headers` on its right, not a text"),
    ("'a' in ['a', 1]", "column 14: `[]` takes texts alone, like its first entry, not a number"),
    ("request.model[0] == 'a'", "column 8: `[]` takes `request.headers` before it, not a text"),
    ("request.model.name == 'a'", "column 14: `.name` takes `request`, `key` or `request.headers` before it, not a text"),
    ("request.bytes.startsWith('a')", "column 8: `startsWith` takes a text, not a number"),
    ("request.model.startsWith('a', 'b')", "column 25: `startsWith` takes one text in its parentheses, not this"),
    (
        "startsWith(request.model, 'a')",
        "column 11: `startsWith` takes something before it and a dot, as in `request.model.startsWith('gpt')`, not this",
    ),
    ("size(request.headers) > 1", "column 13: `size` takes a text or a list, not the map of headers"),
    ("request.stream ? 1 == 1 : 'a'", "column 27: `? :` takes a condition, not a text"),
    ("request.model.exists(a, true)", "column 21: `exists` takes a list or `request.headers` before it, not a text"),
    ("[1].exists(n, n)", "column 15: `exists` takes a condition, not a number"),
    ("[1].exists(request, true)", "column 11: `request` means something else already; call it otherwise"),
    ("[1].all(n, [2].all(n, n > 1))", "column 19: `n` means something else already; call it otherwise"),
    ("[1].all(n, true) && n == 1", "column 21: unknown name `n`; request and key are known"),
    // CEL, but none that is taken here.
    ("null == null", "column 1: null cannot be used here; ask with `has` whether something is there"),
    ("1.5 > 1.0", "column 1: a fraction cannot be used here; write a whole number"),
    ("1u > 0u", "column 1: an unsigned number cannot be used here; write it without `u`"),
    ("b'a' == b'b'", "column 1: a text of bytes cannot be used here; write it without `b`"),
    ("{'a': 1}.size() > 0", "column 1: a map cannot be used here; compare single values"),
    ("key{a: 1} == 1", "column 4: a message cannot be used here; compare single values"),
    ("size([]) == 0", "column 6: an empty list cannot be used here; nothing is in it"),
    ("[1].map(n, n) == 1", "column 8: `map` or `filter` cannot be used here; ask with `exists` or `all`"),
    ("request.model.matches(key.name)", "column 26: a pattern that a call makes cannot be used here; write the pattern out"),
    // Patterns.
    ("request.model.matches('(')", "column 23: not a pattern: unclosed group"),
    ("request.model.matches('a{5000}')", "column 23: not a pattern: it is too large once compiled; repeat less"),
    // Headers.
    ("request.headers['authorization'] == 'a'", "column 17: header `authorization` may show a credential and is kept from expressions"),
    ("has(request.headers.cookie)", "column 4: header `cookie` may show a credential and is kept from expressions"),
    ("'X-Api-Key' in request.headers", "column 1: header `X-Api-Key` may show a credential and is kept from expressions"),
    (
        "request.headers['X-Tier'] == 'a'",
        "column 17: no header is called `X-Tier`: names are in lower case, of letters, digits, `-`, `_` and `.`",
    ),
    // What the parser takes otherwise than it reads.
    ("!!request.stream", "column 2: `!!` is not taken; write `!` once, or put what follows in parentheses"),
    ("1 - - 1 == 2", "column 5: `--` is not taken; write `-` once, or put what follows in parentheses"),
    ("! // a remark\n !request.stream", "line 2, column 2: `!!` is not taken; write `!` once, or put what follows in parentheses"),
    (r#"request.model == 'a\"b'"#, "column 20: this quote needs no backslash; put the text in quotes of the other kind"),
    (r"request.model == r'a\'b'", "column 21: this quote needs no backslash; put the text in quotes of the other kind"),
    ("request.model == '''a'''", "column 18: texts in three quotes are not taken; write one quote"),
    // Syntax.
    ("request.stream &&", "column 18: cannot be read: mismatched input the end"),
    ("request.stream)", "column 15: cannot be read: extraneous input ')' expecting the end"),
    ("", "column 1: cannot be read: mismatched input the end"),
];

#[test]
fn a_refusal_names_the_place_the_offender_and_the_way_out() {
    let mut faults = Vec::new();
    for (source, message) in REFUSED {
        let told = refused(source);
        if told != *message {
            faults.push(format!("{source}\n  is told: {told}\n  and not: {message}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_too_long_too_deep_or_too_costly_is_refused() {
    let longest = format!("request.model == '{}'", "é".repeat(SOURCE_CHARACTERS_MAX - 19));
    assert!(Program::compile(&longest).is_ok());
    assert_eq!(refused(&format!("{longest} ")), format!("column 1: 1025 characters, of at most {SOURCE_CHARACTERS_MAX}"));
    for (open, close) in [("(", ")"), ("[", "]"), ("!(", ")"), ("size(", ")")] {
        for deep in [9, 20, 150] {
            let source = format!("{}true{}", open.repeat(deep), close.repeat(deep));
            assert!(refused(&source).contains("too many things inside one another"), "{source}");
        }
    }
    assert!(Program::compile(&format!("{}true{}", "!(".repeat(8), ")".repeat(8))).is_ok());
    assert!(Program::compile(&format!("{}true", "true ? true : ".repeat(8))).is_ok());
    assert!(refused(&format!("{}true", "true ? true : ".repeat(9))).contains("too many things inside one another"));
    let chain = |links: usize| format!("0{} > 0", " + 1".repeat(links));
    assert!(Program::compile(&chain(60)).is_ok());
    assert!(refused(&chain(64)).contains("too many things inside one another"));
    assert!(refused(&chain(250)).contains("too many things inside one another"));
    assert!(refused(&format!("0{} > 0", " + request.bytes".repeat(33))).contains("too many things inside one another"), "a wide chain");
    let deep = format!("(0{}){} > 0", " + 1".repeat(40), " + 1".repeat(40));
    assert!(refused(&deep).contains("too many things inside one another"), "chains inside one another");
    let or = format!("false{}", " || true".repeat(120));
    assert!(Program::compile(&or).is_ok(), "many alternatives are not deep");
    for source in [
        "request.headers.exists(h, request.headers[h].contains('a'))",
        "request.headers.exists(h, request.headers.exists(i, h == i))",
        "request.headers.exists(h, h.matches('a'))",
        "[1,1,1,1,1,1,1,1,1,1,1,1].all(a, [1,1,1,1,1,1,1,1,1,1,1,1].all(b, [1,1,1,1,1,1,1,1,1,1,1,1].all(c, [1,1,1,1,1,1,1,1,1,1,1,1].all(d, a + b + c + d > 0))))",
    ] {
        let fault = Program::compile(source).expect_err("too costly");
        assert!(matches!(fault.why, Why::TooCostly { cost } if cost > COST_MAX), "{source}: {fault}");
    }
    assert!(Program::compile("request.headers.exists(h, request.headers[h] == 'a' && h.startsWith('x-'))").is_ok());
}
