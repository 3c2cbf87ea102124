//! Arguments of a call in pieces, each with the place in the object where it belongs. Gemini tells them so when it is asked to
//! stream them (`streamFunctionCallArguments`), and ends the call with a piece that does not say that more will come.

use serde_json::{Map, Value};

use super::PartialArg;
use crate::fault::Fault;
use crate::translate::not_an_answer;

/// Deeper or longer than this are no arguments that a tool could mean.
const DEPTH_MAX: usize = 64;
const INDEX_MAX: usize = 9_999;
const BYTES_MAX: usize = 8 << 20;

/// One step into an object or a list.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
}

/// The arguments of a call so far.
#[derive(Debug)]
pub(super) struct Arguments {
    so_far: Value,
    /// The place whose text goes on.
    open: Option<String>,
    bytes: usize,
}

impl Arguments {
    /// With what the first piece had.
    pub(super) fn of(args: Option<&str>) -> Self {
        let so_far = args.and_then(|args| serde_json::from_str(args).ok()).unwrap_or(Value::Object(Map::new()));
        Self { so_far, open: None, bytes: 0 }
    }

    /// Puts a piece where it belongs.
    pub(super) fn put(&mut self, piece: &PartialArg<'_>) -> Result<(), Fault> {
        let path = piece.json_path.as_deref().unwrap_or_default();
        let steps = steps(path).ok_or_else(|| not_an_answer("a place in the arguments of a call cannot be read"))?;
        self.bytes += path.len() + piece.string_value.as_ref().map_or(8, |text| text.len());
        if self.bytes > BYTES_MAX {
            return Err(not_an_answer("the arguments of a call are too long"));
        }
        let place = reach(&mut self.so_far, &steps).ok_or_else(|| not_an_answer("a place in the arguments of a call is taken"))?;
        match (&piece.string_value, place) {
            (Some(text), Value::String(before)) if self.open.as_deref() == Some(path) => before.push_str(text),
            (Some(text), place) => *place = Value::String(text.clone().into_owned()),
            (None, place) => *place = plain(piece),
        }
        self.open = piece.will_continue.unwrap_or(false).then(|| path.to_owned());
        Ok(())
    }

    /// As JSON: whole, or cut off where more was to come, so that nobody takes it for whole.
    pub(super) fn told(&self, whole: bool) -> String {
        let mut text = self.so_far.to_string();
        if !whole {
            text.pop();
        }
        text
    }
}

fn plain(piece: &PartialArg<'_>) -> Value {
    match (&piece.number_value, piece.bool_value) {
        (Some(number), _) => Value::Number(number.clone()),
        (None, Some(word)) => Value::Bool(word),
        (None, None) => Value::Null,
    }
}

/// The steps of a path such as `$.recipe.steps[0]` or `$['a b'].c`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(quoted) =
            rest.strip_prefix("['").map(|rest| (rest, "']")).or_else(|| rest.strip_prefix("[\"").map(|rest| (rest, "\"]")))
        {
            let (name, behind) = quoted.0.split_once(quoted.1)?;
            steps.push(Step::Field(name.to_owned()));
            rest = behind;
        } else if let Some(index) = rest.strip_prefix('[') {
            let (number, behind) = index.split_once(']')?;
            steps.push(Step::Index(number.parse().ok().filter(|number| *number <= INDEX_MAX)?));
            rest = behind;
        } else {
            let name = rest.strip_prefix('.')?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            steps.push(Step::Field(name.get(..end).filter(|name| !name.is_empty())?.to_owned()));
            rest = &name[end..];
        }
    }
    (!steps.is_empty() && steps.len() <= DEPTH_MAX).then_some(steps)
}

/// The place that steps lead to, made on the way. None where something else stands.
fn reach<'v>(from: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    let mut place = from;
    for step in steps {
        place = match step {
            Step::Field(name) => {
                if place.is_null() {
                    *place = Value::Object(Map::new());
                }
                place.as_object_mut()?.entry(name.as_str()).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if place.is_null() {
                    *place = Value::Array(Vec::new());
                }
                let list = place.as_array_mut()?;
                if list.len() <= *index {
                    list.resize(index + 1, Value::Null);
                }
                list.get_mut(*index)?
            }
        };
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(arguments: &mut Arguments, piece: &Value) -> Result<(), Fault> {
        let text = piece.to_string();
        arguments.put(&serde_json::from_str::<PartialArg<'_>>(&text).expect("a piece"))
    }

    fn whole(pieces: &[Value]) -> Value {
        let mut arguments = Arguments::of(None);
        for piece in pieces {
            put(&mut arguments, piece).expect("a place");
        }
        serde_json::from_str(&arguments.told(true)).expect("JSON")
    }

    #[test]
    fn pieces_stand_where_their_paths_say() {
        let told = whole(&[
            json!({"jsonPath": "$.recipe.list[0].name", "stringValue": "Garl", "willContinue": true}),
            json!({"jsonPath": "$.recipe.list[0].name", "stringValue": "ic", "willContinue": true}),
            json!({"jsonPath": "$.recipe.list[0].name", "stringValue": ""}),
            json!({"jsonPath": "$.recipe.list[1].amount", "numberValue": 2.5}),
            json!({"jsonPath": "$['odd name']", "boolValue": false}),
            json!({"jsonPath": "$[\"none\"]", "nullValue": null}),
        ]);
        let list = json!([{"name": "Garlic"}, {"amount": 2.5}]);
        assert_eq!(told, json!({"recipe": {"list": list}, "odd name": false, "none": null}));
    }

    #[test]
    fn a_text_that_does_not_go_on_is_told_anew() {
        let told = whole(&[json!({"jsonPath": "$.a", "stringValue": "one"}), json!({"jsonPath": "$.a", "stringValue": "two"})]);
        assert_eq!(told, json!({"a": "two"}));
    }

    #[test]
    fn what_is_cut_off_is_not_taken_for_whole() {
        let mut arguments = Arguments::of(None);
        put(&mut arguments, &json!({"jsonPath": "$.a", "stringValue": "one"})).expect("a place");
        assert_eq!(arguments.told(false), r#"{"a":"one""#);
        assert_eq!(arguments.told(true), r#"{"a":"one"}"#);
    }

    #[test]
    fn places_that_are_none_are_refused_and_cost_nothing() {
        for path in ["", "a", "$", "$.", "$..a", "$[", "$[x]", "$[10000]", "$[99999999999999999999]", "$['a", "$.a b[", &"$.a".repeat(65)] {
            assert!(steps(path).is_none(), "{path}");
        }
        let deep = format!("${}", ".a".repeat(65));
        assert!(steps(&deep).is_none());
        let mut arguments = Arguments::of(Some(r#"{"a":1}"#));
        put(&mut arguments, &json!({"jsonPath": "$.a.b", "stringValue": "x"})).expect_err("something else stands there");
        put(&mut arguments, &json!({"jsonPath": "$[0]", "stringValue": "x"})).expect_err("arguments are no list");
    }
}
