//! Embeddings: what OpenAI's clients ask, told to providers that speak a dialect of their own, and their vectors told back.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::{FailureClass, Surface, Usage};

use crate::fault::Fault;
use crate::json::{Scanner, comma, write_list, write_text};
use crate::passage::{CannotSay, Facts};
use crate::usage::Count;

/// How a dialect takes and gives vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Gemini,
    Cohere,
    Ollama,
}

/// A call for vectors, and what is needed to read its answer.
#[derive(Debug)]
pub(crate) struct Embedding {
    dialect: Dialect,
    request: Bytes,
    texts: usize,
    base64: bool,
    /// Vectors that were cut short are brought back to length one.
    cut: bool,
    model: String,
}

/// The surface by which a provider that speaks these embeds texts.
pub(crate) fn target(speaks: &std::collections::BTreeSet<Surface>) -> Option<Surface> {
    [Surface::BatchEmbedContents, Surface::CohereEmbed, Surface::OllamaEmbed].into_iter().find(|surface| speaks.contains(surface))
}

fn dialect(upstream: Surface) -> Option<Dialect> {
    match upstream {
        Surface::BatchEmbedContents => Some(Dialect::Gemini),
        Surface::CohereEmbed => Some(Dialect::Cohere),
        Surface::OllamaEmbed => Some(Dialect::Ollama),
        Surface::ChatCompletions
        | Surface::Completions
        | Surface::Embeddings
        | Surface::Responses
        | Surface::Messages
        | Surface::CountTokens
        | Surface::GenerateContent
        | Surface::Converse
        | Surface::CohereChat
        | Surface::OllamaChat
        | Surface::Proxy
        | Surface::Realtime
        | Surface::Moderations
        | Surface::Rerank
        | Surface::Images
        | Surface::ImageEdits
        | Surface::ImageVariations
        | Surface::Speech
        | Surface::Transcriptions
        | Surface::Translations
        | Surface::CohereRerank
        | Surface::Files => None,
    }
}

fn cannot<T>(field: &str, why: &str) -> Result<T, CannotSay> {
    Err(CannotSay::Field { field: field.to_owned(), why: why.to_owned() })
}

/// What is asked, as far as another dialect has words for it.
#[derive(Default)]
struct Asked<'a> {
    texts: Vec<Cow<'a, str>>,
    base64: bool,
    dimensions: Option<u32>,
    input_type: Option<Cow<'a, str>>,
}

/// What Cohere wants to be told of texts.
const INPUT_TYPES: [&str; 4] = ["search_document", "search_query", "classification", "clustering"];

impl<'a> Asked<'a> {
    fn read(body: &'a [u8]) -> Result<Self, CannotSay> {
        let mut asked = Self::default();
        let mut failed = None;
        let mut seen: Vec<String> = Vec::new();
        let read = Scanner::new(body).object(|scanner, key| {
            let raw = &body[scanner.skip()?];
            let key = key.decode();
            if seen.iter().any(|name| *name == key) {
                failed.get_or_insert(cannot(&key, "it stands in the body twice; say it once"));
            }
            if raw != b"null"
                && let Err(cannot) = asked.field(&key, raw)
            {
                failed.get_or_insert(Err(cannot));
            }
            seen.push(key.into_owned());
            Ok::<(), crate::json::Wrong>(())
        });
        match (failed, read) {
            (Some(failed), _) => failed,
            (None, Err(_)) => cannot("body", "it is not JSON"),
            (None, Ok(())) if asked.texts.is_empty() => cannot("input", "there must be at least one text"),
            (None, Ok(())) => Ok(asked),
        }
    }

    fn field(&mut self, key: &str, raw: &'a [u8]) -> Result<(), CannotSay> {
        match (key, raw) {
            ("model" | "user", _) => {}
            ("input", _) => self.texts = texts(raw)?,
            ("encoding_format", b"\"float\"") => {}
            ("encoding_format", b"\"base64\"") => self.base64 = true,
            ("encoding_format", _) => return cannot(key, "it is `float` or `base64`"),
            ("dimensions", _) => match serde_json::from_slice(raw) {
                Ok(dimensions) if dimensions > 0 => self.dimensions = Some(dimensions),
                _ => return cannot(key, "it is a whole number from 1"),
            },
            ("input_type", _) => match serde_json::from_slice::<Cow<'a, str>>(raw) {
                Ok(kind) => self.input_type = Some(kind),
                Err(_) => return cannot(key, "it is a text"),
            },
            ("stream", b"false") => {}
            _ => {
                return cannot(key, "the target's dialect has no word for it; leave it out, or choose a provider that speaks this dialect");
            }
        }
        Ok(())
    }
}

fn texts(raw: &[u8]) -> Result<Vec<Cow<'_, str>>, CannotSay> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let wrong = "the target takes a text or a list of texts, not tokens";
    if raw.starts_with(b"\"") {
        return serde_json::from_slice::<Text<'_>>(raw).map(|text| vec![text.0]).or_else(|_| cannot("input", wrong));
    }
    let list: Result<Vec<Text<'_>>, _> = serde_json::from_slice(raw);
    list.map(|list| list.into_iter().map(|text| text.0).collect()).or_else(|_| cannot("input", wrong))
}

impl Embedding {
    pub(crate) fn begin(upstream: Surface, body: &[u8], model: &str) -> Result<Self, CannotSay> {
        let Some(dialect) = dialect(upstream) else { return Err(CannotSay::Surface { surface: Surface::Embeddings }) };
        let asked = Asked::read(body)?;
        let (most, input_type) = match dialect {
            Dialect::Gemini => (100, None),
            Dialect::Cohere => (96, Some(asked.input_type.as_deref().unwrap_or("search_document"))),
            Dialect::Ollama => (usize::MAX, None),
        };
        if asked.texts.len() > most {
            return cannot("input", &format!("the target takes at most {most} texts in one call"));
        }
        if asked.input_type.is_some() && input_type.is_none() {
            return cannot("input_type", "the target's dialect has no word for it; leave it out");
        }
        if input_type.is_some_and(|kind| !INPUT_TYPES.contains(&kind)) {
            return cannot("input_type", "it is search_document, search_query, classification or clustering");
        }
        let mut out = Vec::with_capacity(body.len() + 128);
        match dialect {
            Dialect::Gemini => write_gemini(&asked, model, &mut out),
            Dialect::Cohere => write_cohere(&asked, input_type.unwrap_or_default(), model, &mut out),
            Dialect::Ollama => write_ollama(&asked, model, &mut out),
        }
        let cut = dialect == Dialect::Gemini && asked.dimensions.is_some();
        Ok(Self { dialect, request: out.into(), texts: asked.texts.len(), base64: asked.base64, cut, model: model.to_owned() })
    }

    pub(crate) fn request(&self) -> Bytes {
        self.request.clone()
    }

    pub(crate) fn read_whole(&self, body: &[u8]) -> Result<(Bytes, Facts), Fault> {
        let told = match self.dialect {
            Dialect::Gemini => read_gemini(body),
            Dialect::Cohere => read_cohere(body),
            Dialect::Ollama => read_ollama(body),
        }?;
        if told.vectors.len() != self.texts {
            let (texts, vectors) = (self.texts, told.vectors.len());
            return Err(Fault::new(FailureClass::InvalidResponse, format!("the answer has {vectors} vectors for {texts} texts")));
        }
        let mut out = Vec::with_capacity(body.len() + 256);
        out.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
        for (place, vector) in told.vectors.iter().enumerate() {
            comma(place, &mut out);
            out.extend_from_slice(format!("{{\"object\":\"embedding\",\"index\":{place},\"embedding\":").as_bytes());
            self.write_vector(vector, &mut out)?;
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"model\":");
        write_text(&mut out, told.model.as_deref().unwrap_or(&self.model));
        let tokens = told.tokens.unwrap_or(0);
        out.extend_from_slice(format!(",\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}}}").as_bytes());
        let usage = told.tokens.map(|prompt| Usage { prompt, ..Usage::default() });
        Ok((out.into(), Facts { usage, model: told.model, ..Facts::default() }))
    }

    /// Numbers stand as the provider wrote them, unless they are packed or brought to length one.
    #[expect(clippy::cast_possible_truncation, reason = "vectors are packed as 32-bit numbers, as OpenAI does")]
    fn write_vector(&self, raw: &RawValue, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut numbers: Vec<f64> = serde_json::from_str(raw.get()).map_err(|_| not_vectors("a vector is not a list of numbers"))?;
        if self.cut {
            let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
            if length > 0.0 {
                numbers.iter_mut().for_each(|number| *number /= length);
            }
        }
        if self.base64 {
            let packed: Vec<u8> = numbers.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect();
            write_text(out, &STANDARD.encode(packed));
        } else if self.cut {
            out.push(b'[');
            for (place, number) in numbers.iter().enumerate() {
                comma(place, out);
                out.extend_from_slice(format!("{}", *number as f32).as_bytes());
            }
            out.push(b']');
        } else {
            out.extend_from_slice(raw.get().as_bytes());
        }
        Ok(())
    }
}

fn write_gemini(asked: &Asked<'_>, model: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"requests\":[");
    for (place, text) in asked.texts.iter().enumerate() {
        comma(place, out);
        out.extend_from_slice(b"{\"model\":");
        write_text(out, &format!("models/{model}"));
        out.extend_from_slice(b",\"content\":{\"parts\":[{\"text\":");
        write_text(out, text);
        out.extend_from_slice(b"}]}");
        if let Some(dimensions) = asked.dimensions {
            out.extend_from_slice(format!(",\"outputDimensionality\":{dimensions}").as_bytes());
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

/// `truncate` is off: a text that is too long is an error, not half a vector.
fn write_cohere(asked: &Asked<'_>, input_type: &str, model: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"model\":");
    write_text(out, model);
    out.extend_from_slice(b",\"texts\":");
    write_list(out, &asked.texts);
    out.extend_from_slice(b",\"input_type\":");
    write_text(out, input_type);
    out.extend_from_slice(b",\"embedding_types\":[\"float\"],\"truncate\":\"NONE\"");
    if let Some(dimensions) = asked.dimensions {
        out.extend_from_slice(format!(",\"output_dimension\":{dimensions}").as_bytes());
    }
    out.push(b'}');
}

fn write_ollama(asked: &Asked<'_>, model: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"model\":");
    write_text(out, model);
    out.extend_from_slice(b",\"input\":");
    write_list(out, &asked.texts);
    out.extend_from_slice(b",\"truncate\":false");
    if let Some(dimensions) = asked.dimensions {
        out.extend_from_slice(format!(",\"dimensions\":{dimensions}").as_bytes());
    }
    out.push(b'}');
}

/// What an answer says.
struct Told<'a> {
    vectors: Vec<&'a RawValue>,
    tokens: Option<u64>,
    model: Option<String>,
}

fn not_vectors(why: &str) -> Fault {
    Fault::new(FailureClass::InvalidResponse, format!("the answer cannot be read: {why}"))
}

fn parsed<'a, T: Deserialize<'a>>(surface: Surface, body: &'a [u8]) -> Result<T, Fault> {
    #[derive(Deserialize)]
    struct Failed<'a> {
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
    }
    if serde_json::from_slice::<Failed<'_>>(body).is_ok_and(|failed| failed.error.is_some_and(|error| error.get() != "null")) {
        return Err(Fault::of_object(surface, body));
    }
    serde_json::from_slice(body).map_err(|error| not_vectors(&error.to_string()))
}

fn read_gemini(body: &[u8]) -> Result<Told<'_>, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        #[serde(borrow)]
        embeddings: Vec<Vector<'a>>,
        #[serde(default)]
        usage_metadata: Option<Metadata>,
    }
    #[derive(Deserialize)]
    struct Vector<'a> {
        #[serde(borrow)]
        values: &'a RawValue,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        #[serde(default)]
        prompt_token_count: Count,
    }
    let answer: Answer<'_> = parsed(Surface::GenerateContent, body)?;
    let tokens = answer.usage_metadata.and_then(|usage| usage.prompt_token_count.0);
    Ok(Told { vectors: answer.embeddings.into_iter().map(|vector| vector.values).collect(), tokens, model: None })
}

fn read_cohere(body: &[u8]) -> Result<Told<'_>, Fault> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        embeddings: Kinds<'a>,
        #[serde(default)]
        meta: Option<Meta>,
    }
    #[derive(Deserialize)]
    struct Kinds<'a> {
        #[serde(borrow)]
        float: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Meta {
        #[serde(default)]
        billed_units: Option<Units>,
    }
    #[derive(Deserialize)]
    struct Units {
        #[serde(default)]
        input_tokens: Count,
    }
    let answer: Answer<'_> = parsed(Surface::CohereChat, body)?;
    let tokens = answer.meta.and_then(|meta| meta.billed_units?.input_tokens.0);
    Ok(Told { vectors: answer.embeddings.float, tokens, model: None })
}

fn read_ollama(body: &[u8]) -> Result<Told<'_>, Fault> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        embeddings: Vec<&'a RawValue>,
        #[serde(default)]
        prompt_eval_count: Count,
        #[serde(default)]
        model: Option<String>,
    }
    let Answer { embeddings, prompt_eval_count, model } = parsed(Surface::OllamaChat, body)?;
    Ok(Told { vectors: embeddings, tokens: prompt_eval_count.0, model })
}
