//! `catalog-refresh LIST.json [TABLE.tsv [UNITS.tsv]]` writes the tables of the catalog from a price list (an object with `meta` and
//! `models: [{id, provider, model?, price: {input, output, cached_input, cache_write}, context, max_output, mode, caps}]`, prices as
//! decimal texts of dollars per million tokens, `tiers: [{above_input_tokens, input, ..}]` among them). Without their names it prints them.
//! `catalog-refresh --check [TABLE.tsv UNITS.tsv]` says what is wrong with tables, or with those that are compiled in, and counts them.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;

use catalog::units::{CALL, SEARCHING_CALL, WEB_SEARCH};
use catalog::{Capability, MORE, Mode, Word, check};
use serde_json::Value;
use snapshot::{Class, Service};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let source = args.next().ok_or("usage: catalog-refresh LIST.json [TABLE.tsv [UNITS.tsv]], or --check [TABLE.tsv UNITS.tsv]")?;
    if source == "--check" {
        return checked(args.next().zip(args.next()));
    }
    let list: Value = serde_json::from_slice(&std::fs::read(source)?)?;
    let tables = [table(&list)?, units(&list)];
    let found = check::faults(&tables[0], &tables[1]);
    if !found.is_empty() {
        return Err(found.join("\n").into());
    }
    for table in tables {
        match args.next() {
            Some(path) => std::fs::write(path, table)?,
            None => std::io::stdout().write_all(table.as_bytes())?,
        }
    }
    Ok(())
}

fn checked(paths: Option<(String, String)>) -> Result<(), Box<dyn Error>> {
    let read = |path: String| std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"));
    let (models, units) = match paths {
        Some((models, units)) => (read(models)?, read(units)?),
        None => (check::compiled_in().0.to_owned(), check::compiled_in().1.to_owned()),
    };
    std::io::stdout().write_all(check::summary(&models, &units).as_bytes())?;
    let found = check::faults(&models, &units);
    if found.is_empty() { Ok(()) } else { Err(found.join("\n").into()) }
}

/// A decimal text of dollars in nano-dollars, for so many; what is less than one is rounded. Lists have prices of more places
/// than money has here.
fn nanos(text: &str, times: u64) -> Option<u64> {
    const PLACES: usize = 24;
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(places) {
        return None;
    }
    let places = places.get(..PLACES).unwrap_or(places);
    let scaled: u128 = format!("{whole}{places:0<PLACES$}").parse().ok()?;
    let unit = 10_u128.pow(15);
    u64::try_from((scaled.checked_mul(u128::from(times))? + unit / 2) / unit).ok()
}

/// A price of a million tokens.
fn price(of: &Value, name: &str) -> Option<u64> {
    nanos(of[name].as_str()?, 1)
}

fn told(price: Option<u64>) -> String {
    price.map(|nanos| nanos.to_string()).unwrap_or_default()
}

/// Prices of prompts longer than so many tokens; with some providers of so many already.
fn tier(tier: &Value, from_there_on: bool) -> Option<String> {
    let above = tier["above_input_tokens"].as_u64()? - u64::from(from_there_on);
    let price = |name: &str| told(price(tier, name));
    Some(format!("{above}:{}:{}:{}:{}", price("input"), price("output"), price("cached_input"), price("cache_write")))
}

/// Some lists tell prices by ranges of the prompt alone: the first is the usual price.
fn ranges(price: &Value) -> Option<(&Value, Vec<String>)> {
    let (usual, longer) = price["tier_ranges"].as_array()?.split_first()?;
    let tier = |range: &Value| {
        let price = |name: &str| told(self::price(range, name));
        let above = range["range"][0].as_u64()?;
        Some(format!("{above}:{}:{}:{}:{}", price("input"), price("output"), price("cached_input"), price("cache_write")))
    };
    Some((usual, longer.iter().filter_map(tier).collect()))
}

/// Prices that few models have, by our words.
fn more(from: &Value, usual: &Value, mode: Option<&str>) -> String {
    let price = |word: &Word| {
        let listed = match word {
            Word::Of(Class::CacheWriteHour) => price(from, "cache_write_1h"),
            Word::Of(Class::AudioInput) => price(from, "input_audio"),
            Word::Of(Class::CachedAudio) => price(from, "cached_input_audio"),
            Word::Of(Class::ImageInput) => price(from, "input_image"),
            Word::Of(Class::CachedImage) => price(from, "cached_input_image"),
            // Most lists tell it where it is that of other text.
            Word::Of(Class::Reasoning) => price(usual, "output_reasoning").filter(|thought| Some(*thought) != price(usual, "output")),
            Word::Of(Class::AudioOutput) => price(from, "output_audio"),
            Word::Of(Class::ImageOutput) => price(from, "output_image"),
            Word::Of(Class::Input | Class::Cached | Class::CacheWrite | Class::Output) => None,
            Word::In(service, class) => {
                let what = if *class == Class::Cached { "cached_input" } else { class.word() };
                let service = if *service == Service::Standard { return None } else { service.word() };
                price(from, &format!("{service}_{what}"))
            }
        };
        // What a maker of pictures or of sound writes is pictures or sound.
        match (word, mode) {
            (Word::Of(Class::ImageOutput), Some("image_generation" | "image_edit"))
            | (Word::Of(Class::AudioOutput), Some("audio_speech")) => listed.or_else(|| self::price(usual, "output")),
            (Word::Of(_) | Word::In(..), _) => listed,
        }
    };
    let told = MORE.iter().filter_map(|(name, word)| Some(format!("{name}:{}", price(word)?)));
    told.collect::<Vec<_>>().join(";")
}

/// `hd/1024-x-1792/dall-e-3`: a model with the quality and size of its pictures.
fn sized(name: &str) -> Option<(String, &str, u64)> {
    let (quality, rest) = match name.split_once('/')? {
        (first, rest) if !first.contains("-x-") => (first, rest),
        _ => ("", name),
    };
    let (size, model) = rest.split_once('/')?;
    let (width, height) = size.split_once("-x-")?;
    let pixels = width.parse::<u64>().ok()?.checked_mul(height.parse().ok()?)?;
    // What names steps, or yet another thing, is no model.
    (!model.contains("-steps/") && !quality.contains(' ')).then(|| (format!("image:{quality}:{width}x{height}"), model, pixels))
}

/// Prices of what is not counted in tokens, by what a model is for.
fn units(list: &Value) -> String {
    let mut rows: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for model in list["models"].as_array().into_iter().flatten() {
        let text = |name: &str| model[name].as_str();
        let (Some(provider), Some(name)) = (text("provider"), text("model").or_else(|| text("id"))) else { continue };
        let mut add = |model: &str, word: &str, price: Option<u64>| {
            if let Some(price) = price {
                rows.entry((provider.to_owned(), model.to_owned(), word.to_owned())).or_insert(price);
            }
        };
        let unit = |name: &str| nanos(model["price"]["unit"][name].as_str()?, 1);
        // Prices of a pixel are those of a picture, divided and cut off.
        let pixels = |count: u64| {
            let price = nanos(model["price"]["unit"]["per_input_pixel"].as_str()?, count)?;
            Some((price + 500) / 1000 * 1000).filter(|price| *price > 0)
        };
        match text("mode") {
            Some("image_generation" | "image_edit") => {
                let price = unit("per_image").or_else(|| unit("per_input_image"));
                match sized(name) {
                    Some((word, model, count)) => add(model, &word, price.or_else(|| pixels(count))),
                    None if !name.contains("-x-") => add(name, "image", price),
                    None => {}
                }
            }
            Some("audio_transcription") => add(name, "second", unit("per_input_second").or_else(|| unit("per_second"))),
            Some("audio_speech") => add(name, "character", unit("per_input_character")),
            Some("rerank") => add(name, "search", unit("per_query")),
            _ => {}
        }
        add(name, CALL, unit("per_request"));
        let searches = price(&model["price"], "web_search_per_query");
        // Models made to search do so in each call and tell no number; and some bill all searches of a call as one.
        let word = match provider {
            "openai" | "azure" if name.contains("-search-") => CALL,
            "perplexity" if !name.contains("deep-research") => CALL,
            "gemini" | "vertex_ai" if searches == Some(35_000_000) => SEARCHING_CALL,
            _ => WEB_SEARCH,
        };
        add(name, word, searches);
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
        let tokens = |name: &str| model[name].as_u64().map(|tokens| tokens.to_string()).unwrap_or_default();
        let listed = &model["price"];
        let by_range = ranges(listed).filter(|_| listed["input"].is_null());
        let (usual, tiers) = by_range.unwrap_or_else(|| {
            let tiers = listed["tiers"].as_array().into_iter().flatten().filter_map(|one| tier(one, provider == "xai"));
            (listed, tiers.collect())
        });
        // Who makes pictures for so much each has no tokens for nothing.
        let by_picture = !listed["unit"]["per_image"].is_null() && price(usual, "input") == Some(0);
        let usual = if by_picture { &Value::Null } else { usual };
        let prices = ["input", "output", "cached_input", "cache_write"].map(|name| told(price(usual, name)));
        let mode = text("mode").and_then(Mode::of).map_or("", Mode::word).to_owned();
        let row = [
            prices.join("\t"),
            tokens("context"),
            tokens("max_output"),
            tiers.join(";"),
            mode,
            capabilities(model),
            more(listed, usual, text("mode")),
        ];
        let row = row.join("\t");
        // Of two rows for one name the one with a price is the better.
        let slot = rows.entry((provider, name)).or_default();
        if slot.is_empty() || slot.starts_with('\t') {
            *slot = row;
        }
    }
    let lines: String = rows.iter().map(|((provider, name), row)| format!("{provider}\t{name}\t{row}\n")).collect();
    let body = format!("# source {}\n{lines}", list["meta"]["source"].as_str().unwrap_or("untold"));
    let date = list["meta"]["generated"].as_str().unwrap_or("undated");
    Ok(format!("# version {date}-{}\n{body}", check::digest(&body)))
}
