//! A checked expression: what is true or false, what is a number, what is a text. Nothing here can have a wrong type.

use regex::Regex;

/// What a checked piece of an expression is.
#[derive(Debug)]
pub(crate) enum Typed {
    Truth(Truth),
    Number(Number),
    Text(Text),
    Texts(Vec<Text>),
    Numbers(Vec<Number>),
    Headers,
    Request,
    Key,
}

impl Typed {
    /// For messages.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Truth(_) => "a condition",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Texts(_) => "a list of texts",
            Self::Numbers(_) => "a list of numbers",
            Self::Headers => "the map of headers",
            Self::Request => "the whole `request`",
            Self::Key => "the whole `key`",
        }
    }
}

/// True or false.
#[derive(Debug)]
pub(crate) enum Truth {
    Is(bool),
    Stream,
    Not(Box<Truth>),
    And(Box<Truth>, Box<Truth>),
    Or(Box<Truth>, Box<Truth>),
    If(Box<[Truth; 3]>),
    Same(Box<Truth>, Box<Truth>),
    OfNumbers(Comparison, Number, Number),
    OfTexts(Comparison, Text, Text),
    Within(Within, Text, Text),
    Matches(Text, Box<Regex>),
    AmongTexts(Text, Vec<Text>),
    AmongNumbers(Number, Vec<Number>),
    HasHeader(Text),
    HasField(Field),
    Each(Quantifier, Range, Box<Truth>),
}

/// How two things compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Where one text stands in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    AtStart,
    AtEnd,
    Anywhere,
}

/// For how many of a range a condition is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    All,
    One,
}

/// What a quantifier goes through.
#[derive(Debug)]
pub(crate) enum Range {
    Texts(Vec<Text>),
    Numbers(Vec<Number>),
    /// Names of headers.
    Headers,
}

/// A whole number of 64 bits.
#[derive(Debug)]
pub(crate) enum Number {
    Is(i64),
    Bytes,
    /// The variable of the quantifier that is so many levels out.
    Bound(usize),
    Size(Text),
    Negative(Box<Number>),
    Of(Arithmetic, Box<Number>, Box<Number>),
    If(Box<(Truth, Number, Number)>),
}

/// What becomes of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A text.
#[derive(Debug)]
pub(crate) enum Text {
    Is(Box<str>),
    Of(Field),
    Header(Box<Text>),
    /// The variable of the quantifier that is so many levels out.
    Bound(usize),
    Lower(Box<Text>),
    Joined(Box<Text>, Box<Text>),
    If(Box<(Truth, Text, Text)>),
}

/// A text of the call or of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Model,
    Operation,
    Namespace,
    Name,
    Team,
    User,
    Application,
    Environment,
    CostCenter,
}
