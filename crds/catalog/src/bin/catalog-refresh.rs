//! `catalog-refresh LIST.json [TABLE.tsv [UNITS.tsv]]`: writes the tables of the catalog from a price list (an object with `meta` and
//! `models: [{id, provider, model?, price: {input, output, cached_input, cache_write}, context, max_output, mode, caps}]`, prices as
//! decimal texts of dollars per million tokens, `tiers: [{above_input_tokens, input, ..}]` among them). Without their names it prints them.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;

use catalog::{Capability, Mode};
use serde_json::Value;
use snapshot::NanoUsd;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let source = args.next().ok_or("usage: catalog-refresh LIST.json [TABLE.tsv [UNITS.tsv]]")?;
    let list: Value = serde_json::from_slice(&std::fs::read(source)?)?;
    let tables = [table(&list)?, units(&list)];
    for table in tables {
        match args.next() {
            Some(path) => std::fs::write(path, table)?,
            None => std::io::stdout().write_all(table.as_bytes())?,
        }
    }
    Ok(())
}

/// Prices of prompts longer than so many tokens; with some providers of so many already.
fn tier(tier: &Value, from_there_on: bool) -> Option<String> {
    let above = tier["above_input_tokens"].as_u64()? - u64::from(from_there_on);
    let price = |name: &str| tier[name].as_str().and_then(NanoUsd::from_decimal).map(|price| price.0.to_string()).unwrap_or_default();
    Some(format!("{above}:{}:{}:{}:{}", price("input"), price("output"), price("cached_input"), price("cache_write")))
}

/// Prices of what is not counted in tokens, by what a model is for. Rows that name a size or a quality are no models.
fn units(list: &Value) -> String {
    let mut rows: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for model in list["models"].as_array().into_iter().flatten() {
        let text = |name: &str| model[name].as_str();
        let (Some(provider), Some(name)) = (text("provider"), text("model").or_else(|| text("id"))) else { continue };
        let unit = |name: &str| model["price"]["unit"][name].as_str().and_then(NanoUsd::from_decimal);
        let (word, price) = match text("mode") {
            Some("image_generation" | "image_edit") => ("image", unit("per_image").or_else(|| unit("per_input_image"))),
            Some("audio_transcription") => ("second", unit("per_input_second").or_else(|| unit("per_second"))),
            Some("audio_speech") => ("character", unit("per_input_character")),
            Some("rerank") => ("search", unit("per_query")),
            _ => continue,
        };
        if let Some(price) = price.filter(|_| !name.contains("-x-")) {
            rows.entry((provider, name, word)).or_insert(price.0);
        }
    }
    let rows = rows.iter().map(|((provider, name, unit), price)| format!("{provider}\t{name}\t{unit}\t{price}\n"));
    std::iter::once("# provider\tmodel\tunit\tnano-dollars for one\n".to_owned()).chain(rows).collect()
}

/// Words of what a model can do; `-` when what is told of it has no word here.
fn capabilities(model: &Value) -> String {
    let Some(told) = model["caps"].as_array() else { return String::new() };
    let can = |capability: &Capability| told.iter().any(|word| word == capability.listed_as());
    let words: Vec<&str> = Capability::ALL.into_iter().filter(can).map(Capability::word).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

fn table(list: &Value) -> Result<String, Box<dyn Error>> {
    let models = list["models"].as_array().ok_or("the list has no `models`")?;
    let mut rows: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for model in models {
        let text = |name: &str| model[name].as_str();
        // Rows that name no provider are defaults of the list's own, not models.
        let Some(provider) = text("provider") else { continue };
        let name = text("model").or_else(|| text("id")).ok_or("a model without an id")?;
        let price =
            |name: &str| model["price"][name].as_str().and_then(NanoUsd::from_decimal).map(|price| price.0.to_string()).unwrap_or_default();
        let tokens = |name: &str| model[name].as_u64().map(|tokens| tokens.to_string()).unwrap_or_default();
        let tiers: Vec<String> =
            model["price"]["tiers"].as_array().into_iter().flatten().filter_map(|one| tier(one, provider == "xai")).collect();
        // What a maker of pictures or sound writes are tokens of pictures or sound.
        let written = match text("mode") {
            Some("image_generation" | "image_edit") => price("output_image"),
            Some("audio_speech") => price("output_audio"),
            _ => String::new(),
        };
        let written = if written.is_empty() { price("output") } else { written };
        let prices = [price("input"), written, price("cached_input"), price("cache_write")];
        let mode = text("mode").and_then(Mode::of).map_or("", Mode::word).to_owned();
        let row = [prices.join("\t"), tokens("context"), tokens("max_output"), tiers.join(";"), mode, capabilities(model)].join("\t");
        // Of two rows for one name the one with a price is the better.
        let slot = rows.entry((provider, name)).or_default();
        if slot.is_empty() || slot.starts_with('\t') {
            *slot = row;
        }
    }
    let body: String = rows.iter().map(|((provider, name), row)| format!("{provider}\t{name}\t{row}\n")).collect();
    let digest = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let date = list["meta"]["generated"].as_str().unwrap_or("undated");
    Ok(format!("# version {date}-{:08x}\n{body}", digest >> 32))
}
