//! From the parser's tree to a typed one: every name, operator and function is declared and gets what it takes.

mod calls;

use cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue, SelectExpr, operators};

use crate::DEPTH_MAX;
use crate::fault::Why;
use crate::typed::{Field, Number, Quantifier, Range, Text, Truth, Typed};
use crate::vocabulary::{fields, is_withheld, near};

/// What is wrong with a node of the tree.
pub(crate) struct Stray {
    /// The parser's number of the node.
    pub(crate) node: u64,
    pub(crate) why: Why,
}

type Found<T> = Result<T, Stray>;

/// Takes a tree for a condition.
///
/// # Errors
/// The first node that is at fault.
pub(crate) fn condition(tree: &IdedExpr) -> Found<Truth> {
    let mut checker = Checker { bound: Vec::new(), depth: 0 };
    let typed = checker.typed(tree)?;
    if let Typed::Truth(truth) = typed { Ok(truth) } else { stray(tree, Why::NotACondition { found: typed.word() }) }
}

fn stray<T>(node: &IdedExpr, why: Why) -> Found<T> {
    Err(Stray { node: node.id, why })
}

fn not_here<T>(node: &IdedExpr, what: &'static str, instead: &'static str) -> Found<T> {
    stray(node, Why::NotHere { what, instead })
}

struct Checker<'t> {
    /// Variables of the quantifiers around, innermost last.
    bound: Vec<(&'t str, Kind)>,
    depth: usize,
}

/// What a quantifier's variable is.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
}

impl<'t> Checker<'t> {
    fn typed(&mut self, node: &'t IdedExpr) -> Found<Typed> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return stray(node, Why::TooDeep);
        }
        let typed = match &node.expr {
            Expr::Literal(literal) => constant(node, literal),
            Expr::Ident(name) => self.name(node, name),
            Expr::Select(select) => self.select(node, select),
            Expr::Call(call) => self.call(node, call),
            Expr::List(list) => self.list(node, list),
            Expr::Comprehension(quantified) => self.quantified(node, quantified),
            Expr::Map(_) => not_here(node, "a map", "compare single values"),
            Expr::Struct(_) => not_here(node, "a message", "compare single values"),
            Expr::Unspecified => stray(node, Why::Syntax("something is missing".to_owned())),
        };
        self.depth -= 1;
        typed
    }

    fn name(&self, node: &IdedExpr, name: &str) -> Found<Typed> {
        if let Some((level, (_, kind))) = self.bound.iter().rev().enumerate().find(|(_, (bound, _))| *bound == name) {
            return Ok(match kind {
                Kind::Text => Typed::Text(Text::Bound(level)),
                Kind::Number => Typed::Number(Number::Bound(level)),
            });
        }
        match name {
            "request" => Ok(Typed::Request),
            "key" => Ok(Typed::Key),
            _ => stray(node, Why::UnknownName { name: name.to_owned(), near: near(name, ["request", "key"]) }),
        }
    }

    fn select(&mut self, node: &'t IdedExpr, SelectExpr { operand, field, test }: &'t SelectExpr) -> Found<Typed> {
        let unknown = |of| Why::UnknownField { of, field: field.clone(), near: near(field, fields(of)) };
        let text = |field| if *test { Typed::Truth(Truth::HasField(field)) } else { Typed::Text(Text::Of(field)) };
        match self.typed(operand)? {
            Typed::Request => match field.as_str() {
                "model" => Ok(text(Field::Model)),
                "operation" => Ok(text(Field::Operation)),
                "stream" | "bytes" | "headers" if *test => Ok(Typed::Truth(Truth::Is(true))),
                "stream" => Ok(Typed::Truth(Truth::Stream)),
                "bytes" => Ok(Typed::Number(Number::Bytes)),
                "headers" => Ok(Typed::Headers),
                _ => stray(node, unknown("request")),
            },
            Typed::Key => key_field(field).map_or_else(|| stray(node, unknown("key")), |field| Ok(text(field))),
            Typed::Headers => {
                header_name(field).or_else(|why| stray(node, why))?;
                let name = Text::Is(field.as_str().into());
                Ok(if *test { Typed::Truth(Truth::HasHeader(name)) } else { Typed::Text(Text::Header(Box::new(name))) })
            }
            other @ (Typed::Truth(_) | Typed::Number(_) | Typed::Text(_) | Typed::Texts(_) | Typed::Numbers(_)) => {
                let of = format!(".{field}");
                stray(node, Why::WrongType { of, expected: "`request`, `key` or `request.headers` before it", found: other.word() })
            }
        }
    }

    fn list(&mut self, node: &'t IdedExpr, list: &'t ListExpr) -> Found<Typed> {
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        for element in &list.elements {
            match self.typed(element)? {
                Typed::Text(text) if numbers.is_empty() => texts.push(text),
                Typed::Number(number) if texts.is_empty() => numbers.push(number),
                other @ (Typed::Text(_)
                | Typed::Number(_)
                | Typed::Truth(_)
                | Typed::Texts(_)
                | Typed::Numbers(_)
                | Typed::Headers
                | Typed::Request
                | Typed::Key) => {
                    let expected = match (texts.is_empty(), numbers.is_empty()) {
                        (true, true) => "texts or numbers",
                        (false, _) => "texts alone, like its first entry",
                        (true, false) => "numbers alone, like its first entry",
                    };
                    return stray(element, Why::WrongType { of: "[]".to_owned(), expected, found: other.word() });
                }
            }
        }
        match (texts.is_empty(), numbers.is_empty()) {
            (true, true) => not_here(node, "an empty list", "nothing is in it"),
            (false, _) => Ok(Typed::Texts(texts)),
            (true, false) => Ok(Typed::Numbers(numbers)),
        }
    }

    /// `exists`, `all` and `exists_one`, which the parser has written out as loops.
    fn quantified(&mut self, node: &'t IdedExpr, quantified: &'t ComprehensionExpr) -> Found<Typed> {
        let Some((quantifier, body)) = quantifier(quantified) else {
            return not_here(node, "`map` or `filter`", "ask with `exists` or `all`");
        };
        let name = quantified.iter_var.as_str();
        let range = match self.typed(&quantified.iter_range)? {
            Typed::Texts(list) => Range::Texts(list),
            Typed::Numbers(list) => Range::Numbers(list),
            Typed::Headers => Range::Headers,
            other @ (Typed::Truth(_) | Typed::Number(_) | Typed::Text(_) | Typed::Request | Typed::Key) => {
                let expected = "a list or `request.headers` before it";
                return stray(node, Why::WrongType { of: quantifier.word().to_owned(), expected, found: other.word() });
            }
        };
        if matches!(name, "request" | "key") || self.bound.iter().any(|(bound, _)| *bound == name) {
            return stray(node, Why::TakenName { name: name.to_owned() });
        }
        let kind = if matches!(range, Range::Numbers(_)) { Kind::Number } else { Kind::Text };
        self.bound.push((name, kind));
        let body = self.truth(body, quantifier.word());
        self.bound.pop();
        Ok(Typed::Truth(Truth::Each(quantifier, range, Box::new(body?))))
    }

    fn truth(&mut self, node: &'t IdedExpr, of: &str) -> Found<Truth> {
        let typed = self.typed(node)?;
        if let Typed::Truth(truth) = typed { Ok(truth) } else { wrong(node, of, "a condition", &typed) }
    }

    fn number(&mut self, node: &'t IdedExpr, of: &str) -> Found<Number> {
        let typed = self.typed(node)?;
        if let Typed::Number(number) = typed { Ok(number) } else { wrong(node, of, "a number", &typed) }
    }

    fn text(&mut self, node: &'t IdedExpr, of: &str) -> Found<Text> {
        let typed = self.typed(node)?;
        if let Typed::Text(text) = typed { Ok(text) } else { wrong(node, of, "a text", &typed) }
    }
}

fn wrong<T>(node: &IdedExpr, of: &str, expected: &'static str, found: &Typed) -> Found<T> {
    stray(node, Why::WrongType { of: of.to_owned(), expected, found: found.word() })
}

fn constant(node: &IdedExpr, literal: &LiteralValue) -> Found<Typed> {
    match literal {
        LiteralValue::Boolean(truth) => Ok(Typed::Truth(Truth::Is(*truth.inner()))),
        LiteralValue::Int(number) => Ok(Typed::Number(Number::Is(*number.inner()))),
        LiteralValue::String(text) => Ok(Typed::Text(Text::Is(text.inner().into()))),
        LiteralValue::Null => not_here(node, "null", "ask with `has` whether something is there"),
        LiteralValue::UInt(_) => not_here(node, "an unsigned number", "write it without `u`"),
        LiteralValue::Double(_) => not_here(node, "a fraction", "write a whole number"),
        LiteralValue::Bytes(_) => not_here(node, "a text of bytes", "write it without `b`"),
    }
}

fn key_field(field: &str) -> Option<Field> {
    Some(match field {
        "namespace" => Field::Namespace,
        "name" => Field::Name,
        "team" => Field::Team,
        "user" => Field::User,
        "application" => Field::Application,
        "environment" => Field::Environment,
        "costCenter" => Field::CostCenter,
        _ => return None,
    })
}

/// Judges the name of a header that is written out.
fn header_name(name: &str) -> Result<(), Why> {
    if is_withheld(&name.to_ascii_lowercase()) {
        return Err(Why::Withheld { header: name.to_owned() });
    }
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(Why::HeaderName { header: name.to_owned() });
    }
    Ok(())
}

/// Which quantifier a loop is, and the condition inside; `None` for `map` and `filter`, which gather a list.
fn quantifier(quantified: &ComprehensionExpr) -> Option<(Quantifier, &IdedExpr)> {
    let Expr::Literal(first) = &quantified.accu_init.expr else { return None };
    let Expr::Call(step) = &quantified.loop_step.expr else { return None };
    let quantifier = match (first, step.func_name.as_str()) {
        (LiteralValue::Boolean(_), operators::LOGICAL_OR) => Quantifier::Any,
        (LiteralValue::Boolean(_), operators::LOGICAL_AND) => Quantifier::All,
        (LiteralValue::Int(_), operators::CONDITIONAL) => return Some((Quantifier::One, step.args.first()?)),
        _ => return None,
    };
    Some((quantifier, step.args.get(1)?))
}

impl Quantifier {
    fn word(self) -> &'static str {
        match self {
            Self::Any => "exists",
            Self::All => "all",
            Self::One => "exists_one",
        }
    }
}
