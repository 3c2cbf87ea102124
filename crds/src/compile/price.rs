//! What a model costs, where that is not what the catalog says.

use std::collections::BTreeMap;

use snapshot::{Class, LongPrompt, MorePrices, NanoUsd, Price, Service, Unit};

use crate::api::price as api;
use crate::report::Problem;

/// As the machine needs it: prices of text, and the others.
pub(super) fn lower(price: Option<&api::Price>) -> Result<(Option<Price>, Option<Box<MorePrices>>), Problem> {
    let Some(price) = price else { return Ok((None, None)) };
    let text = match (&price.input_per_million, &price.output_per_million) {
        (Some(input), Some(output)) => Some(text([input, output], [&price.cached_input_per_million, &price.cache_write_per_million])?),
        (Some(_) | None, _) => None,
    };
    let more = more(price)?;
    Ok((text, (more != MorePrices::default()).then(|| Box::new(more))))
}

fn more(price: &api::Price) -> Result<MorePrices, Problem> {
    let tokens = [
        (Class::CacheWriteHour, &price.cache_write_hour_per_million),
        (Class::AudioInput, &price.audio_input_per_million),
        (Class::CachedAudio, &price.cached_audio_input_per_million),
        (Class::ImageInput, &price.image_input_per_million),
        (Class::CachedImage, &price.cached_image_input_per_million),
        (Class::Reasoning, &price.reasoning_per_million),
        (Class::AudioOutput, &price.audio_output_per_million),
        (Class::ImageOutput, &price.image_output_per_million),
    ];
    let units = [
        (Unit::Image, &price.per_image),
        (Unit::Second, &price.per_second),
        (Unit::Character, &price.per_character),
        (Unit::Search, &price.per_search),
    ];
    let services = price
        .services
        .iter()
        .flat_map(|services| [(Service::Batch, &services.batch), (Service::Flex, &services.flex), (Service::Priority, &services.priority)]);
    let served = services.filter_map(|(service, price)| Some((service, price.as_ref()?)));
    let long = |long: &api::LongPrompt| {
        let price =
            text([&long.input_per_million, &long.output_per_million], [&long.cached_input_per_million, &long.cache_write_per_million])?;
        Ok(LongPrompt { above: u64::from(long.above_tokens), price })
    };
    let mut long_prompts = price.long_prompts.iter().map(long).collect::<Result<Vec<_>, _>>()?;
    long_prompts.sort_by_key(|long| long.above);
    Ok(MorePrices {
        tokens: told(tokens)?,
        services: served.map(|(service, price)| Ok((service, service_price(price)?))).collect::<Result<_, _>>()?,
        long_prompts,
        units: told(units)?,
        call: price.per_call.as_ref().map(money).transpose()?,
    })
}

fn service_price(price: &api::TextPrice) -> Result<Price, Problem> {
    text([&price.input_per_million, &price.output_per_million], [&price.cached_input_per_million, &price.cache_write_per_million])
}

/// Those that are told.
fn told<K: Ord, const N: usize>(prices: [(K, &Option<String>); N]) -> Result<BTreeMap<K, NanoUsd>, Problem> {
    let told = prices.into_iter().filter_map(|(what, price)| Some((what, price.as_ref()?)));
    told.map(|(what, price)| Ok((what, money(price)?))).collect()
}

fn text([input, output]: [&String; 2], [cached, cache_write]: [&Option<String>; 2]) -> Result<Price, Problem> {
    Ok(Price {
        input: money(input)?,
        output: money(output)?,
        cached: cached.as_ref().map(money).transpose()?,
        cache_write: cache_write.as_ref().map(money).transpose()?,
    })
}

fn money(text: &String) -> Result<NanoUsd, Problem> {
    NanoUsd::from_decimal(text)
        .ok_or_else(|| Problem::Malformed { path: "spec.models[].price".to_owned(), why: format!("{text} is no amount of dollars") })
}
