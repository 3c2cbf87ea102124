//! Operators and functions: what each takes and gives.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use regex::RegexBuilder;

use super::{Checker, Found, header_name, not_here, stray, wrong};
use crate::fault::Why;
use crate::typed::{Arithmetic, Comparison, Number, Text, Truth, Typed, Within};
use crate::vocabulary::{functions, near};

/// Bytes of a compiled pattern at most; one with large repetitions is larger.
const PATTERN_BYTES_MAX: usize = 64 << 10;

/// Bytes that matching may keep beside it.
const PATTERN_CACHE_BYTES_MAX: usize = 256 << 10;

impl<'t> Checker<'t> {
    pub(super) fn call(&mut self, node: &'t IdedExpr, call: &'t CallExpr) -> Found<Typed> {
        match (&call.target, call.args.as_slice()) {
            (None, [one]) => self.of_one(node, &call.func_name, one),
            (None, [a, b]) => self.of_two(node, &call.func_name, a, b),
            (None, [condition, then, or_else]) if call.func_name == operators::CONDITIONAL => self.branches(condition, then, or_else),
            (Some(target), arguments) => self.method(node, &call.func_name, target, arguments),
            (None, _) => unknown(node, &call.func_name),
        }
    }

    fn of_one(&mut self, node: &'t IdedExpr, function: &str, one: &'t IdedExpr) -> Found<Typed> {
        match function {
            operators::LOGICAL_NOT => Ok(Typed::Truth(Truth::Not(Box::new(self.truth(one, "!")?)))),
            operators::NEGATE => Ok(Typed::Number(Number::Negative(Box::new(self.number(one, "-")?)))),
            "size" => self.size(one),
            _ => unknown(node, function),
        }
    }

    fn of_two(&mut self, node: &'t IdedExpr, function: &str, a: &'t IdedExpr, b: &'t IdedExpr) -> Found<Typed> {
        let arithmetic = match function {
            operators::LOGICAL_AND => {
                return Ok(Typed::Truth(Truth::And(Box::new(self.truth(a, "&&")?), Box::new(self.truth(b, "&&")?))));
            }
            operators::LOGICAL_OR => {
                return Ok(Typed::Truth(Truth::Or(Box::new(self.truth(a, "||")?), Box::new(self.truth(b, "||")?))));
            }
            operators::EQUALS => return self.compare(node, Comparison::Equal, "==", a, b),
            operators::NOT_EQUALS => return self.compare(node, Comparison::Unequal, "!=", a, b),
            operators::LESS => return self.compare(node, Comparison::Less, "<", a, b),
            operators::LESS_EQUALS => return self.compare(node, Comparison::LessOrEqual, "<=", a, b),
            operators::GREATER => return self.compare(node, Comparison::Greater, ">", a, b),
            operators::GREATER_EQUALS => return self.compare(node, Comparison::GreaterOrEqual, ">=", a, b),
            operators::IN => return self.among(a, b),
            operators::INDEX => return self.index(a, b),
            operators::ADD => return self.add(a, b),
            operators::SUBSTRACT => (Arithmetic::Subtract, "-"),
            operators::MULTIPLY => (Arithmetic::Multiply, "*"),
            operators::DIVIDE => (Arithmetic::Divide, "/"),
            operators::MODULO => (Arithmetic::Remainder, "%"),
            _ => return unknown(node, function),
        };
        let (arithmetic, sign) = arithmetic;
        Ok(Typed::Number(Number::Of(arithmetic, Box::new(self.number(a, sign)?), Box::new(self.number(b, sign)?))))
    }

    fn add(&mut self, a: &'t IdedExpr, b: &'t IdedExpr) -> Found<Typed> {
        match self.typed(a)? {
            Typed::Text(a) => Ok(Typed::Text(Text::Joined(Box::new(a), Box::new(self.text(b, "+")?)))),
            Typed::Number(a) => Ok(Typed::Number(Number::Of(Arithmetic::Add, Box::new(a), Box::new(self.number(b, "+")?)))),
            other @ (Typed::Truth(_) | Typed::Texts(_) | Typed::Numbers(_) | Typed::Headers | Typed::Request | Typed::Key) => {
                wrong(a, "+", "two texts or two numbers", &other)
            }
        }
    }

    fn compare(&mut self, node: &'t IdedExpr, comparison: Comparison, sign: &str, a: &'t IdedExpr, b: &'t IdedExpr) -> Found<Typed> {
        Ok(Typed::Truth(match self.typed(a)? {
            Typed::Text(a) => Truth::OfTexts(comparison, a, self.text(b, sign)?),
            Typed::Number(a) => Truth::OfNumbers(comparison, a, self.number(b, sign)?),
            Typed::Truth(a) => {
                let same = Truth::Same(Box::new(a), Box::new(self.truth(b, sign)?));
                match comparison {
                    Comparison::Equal => same,
                    Comparison::Unequal => Truth::Not(Box::new(same)),
                    Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual => {
                        return not_here(node, "the order of conditions", "compare them with `==` or `!=`");
                    }
                }
            }
            other @ (Typed::Texts(_) | Typed::Numbers(_) | Typed::Headers | Typed::Request | Typed::Key) => {
                return wrong(a, sign, "texts, numbers or conditions", &other);
            }
        }))
    }

    fn among(&mut self, one: &'t IdedExpr, many: &'t IdedExpr) -> Found<Typed> {
        Ok(Typed::Truth(match self.typed(many)? {
            Typed::Texts(list) => Truth::AmongTexts(self.text(one, "in")?, list),
            Typed::Numbers(list) => Truth::AmongNumbers(self.number(one, "in")?, list),
            Typed::Headers => Truth::HasHeader(self.header(one, "in")?),
            other @ (Typed::Truth(_) | Typed::Number(_) | Typed::Text(_) | Typed::Request | Typed::Key) => {
                return wrong(many, "in", "a list or `request.headers` on its right", &other);
            }
        }))
    }

    fn index(&mut self, of: &'t IdedExpr, place: &'t IdedExpr) -> Found<Typed> {
        let typed = self.typed(of)?;
        if !matches!(typed, Typed::Headers) {
            return wrong(of, "[]", "`request.headers` before it", &typed);
        }
        Ok(Typed::Text(Text::Header(Box::new(self.header(place, "[]")?))))
    }

    /// The name of a header; one that is written out is judged at once.
    fn header(&mut self, node: &'t IdedExpr, of: &str) -> Found<Text> {
        if let Expr::Literal(LiteralValue::String(name)) = &node.expr {
            header_name(name.inner()).or_else(|why| stray(node, why))?;
        }
        self.text(node, of)
    }

    fn branches(&mut self, condition: &'t IdedExpr, then: &'t IdedExpr, or_else: &'t IdedExpr) -> Found<Typed> {
        let condition = self.truth(condition, "? :")?;
        Ok(match self.typed(then)? {
            Typed::Truth(then) => Typed::Truth(Truth::If(Box::new([condition, then, self.truth(or_else, "? :")?]))),
            Typed::Number(then) => Typed::Number(Number::If(Box::new((condition, then, self.number(or_else, "? :")?)))),
            Typed::Text(then) => Typed::Text(Text::If(Box::new((condition, then, self.text(or_else, "? :")?)))),
            other @ (Typed::Texts(_) | Typed::Numbers(_) | Typed::Headers | Typed::Request | Typed::Key) => {
                return wrong(then, "? :", "texts, numbers or conditions", &other);
            }
        })
    }

    fn method(&mut self, node: &'t IdedExpr, name: &'t str, target: &'t IdedExpr, arguments: &'t [IdedExpr]) -> Found<Typed> {
        let within = match (name, arguments) {
            ("startsWith", [part]) => (Within::AtStart, part),
            ("endsWith", [part]) => (Within::AtEnd, part),
            ("contains", [part]) => (Within::Anywhere, part),
            ("matches", [pattern]) => {
                let text = self.text(target, name)?;
                return Ok(Typed::Truth(Truth::Matches(text, Box::new(compiled(pattern)?))));
            }
            ("lowerAscii", []) => return Ok(Typed::Text(Text::Lower(Box::new(self.text(target, name)?)))),
            ("size", []) => return self.size(target),
            _ if functions().any(|known| known == name) => {
                return stray(node, Why::WrongType { of: name.to_owned(), expected: expected(name), found: "this" });
            }
            _ => return unknown(node, name),
        };
        let (within, part) = within;
        Ok(Typed::Truth(Truth::Within(within, self.text(target, name)?, self.text(part, name)?)))
    }

    fn size(&mut self, of: &'t IdedExpr) -> Found<Typed> {
        let entries = |count: usize| Ok(Typed::Number(Number::Is(i64::try_from(count).unwrap_or(i64::MAX))));
        match self.typed(of)? {
            Typed::Text(text) => Ok(Typed::Number(Number::Size(text))),
            Typed::Texts(list) => entries(list.len()),
            Typed::Numbers(list) => entries(list.len()),
            other @ (Typed::Truth(_) | Typed::Number(_) | Typed::Headers | Typed::Request | Typed::Key) => {
                wrong(of, "size", "a text or a list", &other)
            }
        }
    }
}

/// What a function takes, when it got something else.
fn expected(function: &str) -> &'static str {
    match function {
        "has" => "one field, as in `has(key.user)`",
        "size" | "lowerAscii" => "nothing in its parentheses when it stands behind a dot",
        "exists" | "all" | "exists_one" | "existsOne" => "a name and a condition, as in `[1, 2].exists(n, n > 1)`",
        _ => "one text in its parentheses",
    }
}

fn unknown<T>(node: &IdedExpr, name: &str) -> Found<T> {
    if functions().any(|known| known == name) {
        let expected = match name {
            "has" => expected(name),
            "size" => "one text or list",
            _ => "something before it and a dot, as in `request.model.startsWith('gpt')`",
        };
        return stray(node, Why::WrongType { of: name.to_owned(), expected, found: "this" });
    }
    stray(node, Why::UnknownFunction { name: name.to_owned(), near: near(name, functions()) })
}

/// A pattern, which must be written out: so it is compiled once and its size is known.
fn compiled(node: &IdedExpr) -> Found<regex::Regex> {
    let Expr::Literal(LiteralValue::String(pattern)) = &node.expr else {
        return not_here(node, "a pattern that a call makes", "write the pattern out");
    };
    let built =
        RegexBuilder::new(pattern.inner()).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_CACHE_BYTES_MAX).nest_limit(32).build();
    built.or_else(|error| {
        let why = if matches!(error, regex::Error::CompiledTooBig(_)) {
            "it is too large once compiled; repeat less".to_owned()
        } else {
            // The last line of a message says what; those before draw the place.
            error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        };
        stray(node, Why::Pattern { why })
    })
}
