//! Embeddings of models that clouds serve in words of their own: OpenAI's request told to them, and their answer told to
//! OpenAI's clients.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use snapshot::FailureClass;

use crate::fault::Fault;
use crate::json::write_text;
use crate::passage::CannotSay;

/// How a family of models is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Amazon's Titan on Bedrock: one text for each call.
    Titan,
    /// Cohere's models on Bedrock.
    CohereOnBedrock,
    /// Models of Vertex AI, by `:predict`.
    Vertex,
}

impl Family {
    /// The family of a model of Bedrock, by its id; one that hides behind the name of a profile is not known.
    #[must_use]
    pub fn of_bedrock(model: &str) -> Option<Self> {
        if model.contains("amazon.titan-embed-text") {
            Some(Self::Titan)
        } else if model.contains("cohere.embed-") {
            Some(Self::CohereOnBedrock)
        } else {
            None
        }
    }
}

/// A request that was told, and what its answer must be.
#[derive(Debug)]
pub struct Embeddings {
    family: Family,
    model: String,
    base64: bool,
    count: usize,
    /// To be sent.
    pub body: Bytes,
}

/// A request in OpenAI's words.
#[derive(Deserialize)]
struct Asked {
    input: Value,
    dimensions: Option<u64>,
    encoding_format: Option<String>,
    /// Cohere's word; OpenAI has none.
    input_type: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Embeddings {
    /// Tells a request of OpenAI's.
    ///
    /// # Errors
    /// It says what the family has no word for.
    pub fn tell(family: Family, pieces: &[Bytes], model: &str) -> Result<Self, CannotSay> {
        let cannot = |field: &str, why: &str| CannotSay::Field { field: field.to_owned(), why: why.to_owned() };
        let asked: Asked = serde_json::from_slice(&pieces.concat()).map_err(|_| cannot("input", "it is no request for embeddings"))?;
        if let Some(field) = asked.rest.iter().find(|(name, value)| *name != "model" && !value.is_null()).map(|(name, _)| name) {
            return Err(cannot(field, "its models have nothing of the kind"));
        }
        let texts: Vec<&str> = match &asked.input {
            Value::String(text) => vec![text],
            Value::Array(list) => list
                .iter()
                .map(|item| item.as_str().ok_or_else(|| cannot("input", "its models take texts and no tokens; send the text")))
                .collect::<Result<_, _>>()?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                return Err(cannot("input", "it must be a text or a list of texts"));
            }
        };
        let base64 = match asked.encoding_format.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(_) => return Err(cannot("encoding_format", "float and base64 are known")),
        };
        let single = family == Family::Titan || (family == Family::Vertex && model.starts_with("gemini-embedding"));
        if single && texts.len() != 1 {
            return Err(cannot("input", "this model takes one text for each call"));
        }
        if asked.input_type.is_some() && family != Family::CohereOnBedrock {
            return Err(cannot("input_type", "its models have nothing of the kind"));
        }
        let body = match family {
            Family::Titan => {
                let mut body = json!({ "inputText": texts.first() });
                asked.dimensions.map(|dimensions| body["dimensions"] = json!(dimensions)).unwrap_or_default();
                body
            }
            Family::CohereOnBedrock => {
                let kind = asked.input_type.as_deref().unwrap_or("search_document");
                let mut body = json!({ "texts": texts, "input_type": kind, "embedding_types": ["float"] });
                asked.dimensions.map(|dimensions| body["output_dimension"] = json!(dimensions)).unwrap_or_default();
                body
            }
            Family::Vertex => {
                let instances: Vec<Value> = texts.iter().map(|text| json!({ "content": text })).collect();
                let mut body = json!({ "instances": instances });
                asked.dimensions.map(|dimensions| body["parameters"] = json!({ "outputDimensionality": dimensions })).unwrap_or_default();
                body
            }
        };
        Ok(Self { family, model: model.to_owned(), base64, count: texts.len(), body: body.to_string().into() })
    }

    /// Tells the answer. `tokens` are those that its head counts.
    ///
    /// # Errors
    /// It is no answer, or one with another number of vectors.
    pub fn answer(&self, body: &[u8], tokens: Option<u64>) -> Result<Bytes, Fault> {
        let wrong = |why: &str| Fault::new(FailureClass::InvalidResponse, format!("the answer cannot be read: {why}"));
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(wrong("it is no object"));
        }
        let (vectors, counted) = self.read(body).map_err(|_| wrong("it holds no embeddings"))?;
        if vectors.len() != self.count {
            return Err(wrong("it holds another number of embeddings than texts were sent"));
        }
        let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
        for (index, vector) in vectors.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"" } else { b"," });
            out.extend_from_slice(format!("{{\"object\":\"embedding\",\"index\":{index},\"embedding\":").as_bytes());
            if self.base64 {
                let floats: Vec<f32> = serde_json::from_str(vector.get()).map_err(|_| wrong("a vector is not of numbers"))?;
                let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
                write_text(&mut out, &STANDARD.encode(bytes));
            } else {
                out.extend_from_slice(vector.get().as_bytes());
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"model\":");
        write_text(&mut out, &self.model);
        if let Some(tokens) = tokens.or(counted) {
            out.extend_from_slice(format!(",\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}").as_bytes());
        }
        out.push(b'}');
        Ok(out.into())
    }

    fn read(&self, body: &[u8]) -> serde_json::Result<(Vec<Box<RawValue>>, Option<u64>)> {
        match self.family {
            Family::Titan => {
                let Titan { embedding, tokens } = serde_json::from_slice(body)?;
                Ok((vec![embedding], tokens))
            }
            Family::CohereOnBedrock => {
                let Cohere { embeddings } = serde_json::from_slice(body)?;
                // By type where types were asked for, a bare list from older models; a list would pass for a struct too.
                let text = embeddings.get();
                let by_type = text.starts_with('{');
                Ok((if by_type { serde_json::from_str::<ByType>(text)?.float } else { serde_json::from_str(text)? }, None))
            }
            Family::Vertex => {
                let Predicted { predictions } = serde_json::from_slice(body)?;
                let tokens = predictions.iter().map(|one| one.embeddings.statistics.as_ref().and_then(|told| told.token_count)).sum();
                Ok((predictions.into_iter().map(|one| one.embeddings.values).collect(), tokens))
            }
        }
    }
}

#[derive(Deserialize)]
struct Titan {
    embedding: Box<RawValue>,
    #[serde(rename = "inputTextTokenCount")]
    tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Cohere {
    embeddings: Box<RawValue>,
}

#[derive(Deserialize)]
struct ByType {
    float: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Predicted {
    predictions: Vec<Prediction>,
}

#[derive(Deserialize)]
struct Prediction {
    embeddings: Values,
}

#[derive(Deserialize)]
struct Values {
    values: Box<RawValue>,
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Statistics {
    token_count: Option<u64>,
}
