//! Pictures, sound and transcripts of the simulated provider: small, whole and valid.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use snapshot::Surface;

use super::words::split;
use super::{Bad, Emitted, Made};
use crate::multipart::Form;

/// Eight by eight points of the sea's blue.
const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mOQi1qAFTEMLQkAOd1GATzaamsAAAAASUVORK5CYII=";

/// Samples of a second of sound.
const RATE: u32 = 8000;

/// Seconds of sound at most.
const SECONDS_MAX: u64 = 10;

fn usage(input: u64, output: u64) -> Value {
    json!({ "input_tokens": input, "output_tokens": output, "total_tokens": input + output })
}

fn text<'a>(request: &'a Value, field: &'static str) -> Result<&'a str, Bad> {
    let text = request[field].as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| Bad { message: format!("Missing required parameter: '{field}'."), param: Some(field) })
}

/// Pictures of a prompt.
pub(super) fn images(request: &Value) -> Result<Made, Bad> {
    let prompt = text(request, "prompt")?;
    let count = request["n"].as_u64().unwrap_or(1).clamp(1, 10);
    let partial = request["partial_images"].as_u64().unwrap_or(0).min(3);
    Ok(pictures("image_generation", prompt.len(), count, request["stream"].as_bool().unwrap_or(false).then_some(partial)))
}

/// Pictures of a form.
pub(super) fn edits(form: &Form) -> Result<Made, Bad> {
    if form.files == 0 {
        return Err(Bad { message: "Missing required parameter: 'image'.".to_owned(), param: Some("image") });
    }
    Ok(pictures("image_edit", 0, 1, form.head.stream.then_some(0)))
}

fn pictures(kind: &str, prompt_bytes: usize, count: u64, stream: Option<u64>) -> Made {
    let mut usage = usage((prompt_bytes as u64).div_ceil(4), 16 * count);
    usage["input_tokens_details"] = json!({ "text_tokens": usage["input_tokens"], "image_tokens": 0 });
    let Some(partial) = stream else {
        let data: Vec<Value> = (0..count).map(|_| json!({ "b64_json": PICTURE })).collect();
        return Made::Whole(json!({
            "created": 1_767_225_600, "data": data, "output_format": "png", "size": "1024x1024", "quality": "low",
            "background": "opaque", "usage": usage,
        }));
    };
    let event = |name: &str, more: Value| {
        let kind = format!("{kind}.{name}");
        let mut event = json!({
            "type": kind, "b64_json": PICTURE, "created_at": 1_767_225_600, "output_format": "png", "size": "1024x1024",
            "quality": "low", "background": "opaque",
        });
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        Emitted::named(&kind, &event).paced()
    };
    let partial = (0..partial).map(|place| event("partial_image", json!({ "partial_image_index": place })));
    Made::Stream(partial.chain([event("completed", json!({ "usage": usage }))]).collect())
}

/// A text spoken: a tone, as long as the text.
pub(super) fn speech(request: &Value) -> Result<Made, Bad> {
    let input = text(request, "input")?;
    text(request, "voice")?;
    let letters = input.chars().count() as u64;
    let sound = tone(letters);
    if request["stream_format"] != "sse" {
        return Ok(Made::Raw("audio/wav", sound));
    }
    let pieces =
        sound.chunks(4096).map(|piece| Emitted::data(&json!({ "type": "speech.audio.delta", "audio": STANDARD.encode(piece) })).paced());
    let done = json!({ "type": "speech.audio.done", "usage": usage(letters.div_ceil(4), letters) });
    Ok(Made::Stream(pieces.chain([Emitted::data(&done)]).collect()))
}

/// A file of sound: sixteen bits a sample, one channel, a tenth of a second for each letter.
fn tone(letters: u64) -> Vec<u8> {
    let samples = u32::try_from((letters * u64::from(RATE) / 10).min(SECONDS_MAX * u64::from(RATE))).unwrap_or(RATE);
    let bytes = samples * 2;
    let mut out = Vec::with_capacity(bytes as usize + 44);
    let mut put = |piece: &[u8]| out.extend_from_slice(piece);
    put(b"RIFF");
    put(&(bytes + 36).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&RATE.to_le_bytes());
    put(&(RATE * 2).to_le_bytes());
    put(&2_u16.to_le_bytes());
    put(&16_u16.to_le_bytes());
    put(b"data");
    put(&bytes.to_le_bytes());
    // A square wave of 400 Hz.
    for place in 0..samples {
        let sample: i16 = if place / 10 % 2 == 0 { 2000 } else { -2000 };
        put(&sample.to_le_bytes());
    }
    out
}

/// Sound written down. Nobody listened: the text tells what came.
pub(super) fn transcript(surface: Surface, form: &Form) -> Result<Made, Bad> {
    if form.files == 0 {
        return Err(Bad { message: "Missing required parameter: 'file'.".to_owned(), param: Some("file") });
    }
    let done = if surface == Surface::Translations { "translated" } else { "transcribed" };
    let text = format!("Hello from Portolan's simulated provider. It {done} {} bytes.", form.file_bytes);
    let words = split(&text);
    if form.head.stream && surface == Surface::Transcriptions {
        let deltas = words.iter().map(|word| Emitted::data(&json!({ "type": "transcript.text.delta", "delta": word })).paced());
        let usage = json!({ "type": "tokens", "input_tokens": 8, "output_tokens": words.len(), "total_tokens": 8 + words.len() });
        let done = json!({ "type": "transcript.text.done", "text": text, "usage": usage });
        return Ok(Made::Stream(deltas.chain([Emitted::data(&done)]).collect()));
    }
    if form.head.as_text {
        return Ok(Made::Raw("text/plain; charset=utf-8", format!("{text}\n").into_bytes()));
    }
    let seconds = form.file_bytes.div_ceil(u64::from(RATE) * 2);
    Ok(Made::Whole(json!({ "text": text, "usage": { "type": "duration", "seconds": seconds } })))
}
