//! Whether the tables of the catalog are what they should be, without asking anybody.

use std::collections::BTreeMap;

use snapshot::{Class, NanoUsd, Service, Unit};

use crate::more::{MORE, More, Word};
use crate::{Mode, units};

/// As many models are known at least.
const MODELS_MIN: usize = 4000;

/// No price of a million tokens is higher, in dollars.
const MILLION_MAX: u64 = 10_000;

/// No price of one of a unit is higher, in dollars.
const UNIT_MAX: u64 = 5;

const DOLLAR: u64 = 1_000_000_000;

/// The tables that are compiled in: models, then units.
#[must_use]
pub fn compiled_in() -> (&'static str, &'static str) {
    (crate::TABLE, units::table())
}

/// What is wrong with two tables, a sentence each.
#[must_use]
pub fn faults(models: &str, units: &str) -> Vec<String> {
    let mut found = Vec::new();
    let first = models.lines().next().unwrap_or_default();
    let version = first.strip_prefix("# version ").filter(|version| dated(version));
    match version {
        None => found.push(format!("models: the first line tells no date and digest: {first}")),
        Some(version) if !version.ends_with(&digest(models.split_once('\n').map_or("", |(_, body)| body))) => {
            found.push(format!("models: version {version} is of other lines: they were changed by hand"));
        }
        Some(_) => {}
    }
    if !models.lines().nth(1).is_some_and(|line| line.starts_with("# source ")) {
        found.push("models: the second line tells no source".to_owned());
    }
    let rows: Vec<&str> = rows(models).collect();
    if rows.len() < MODELS_MIN {
        found.push(format!("models: there are {} of at least {MODELS_MIN}", rows.len()));
    }
    sorted(&rows, 2, "models", &mut found);
    rows.iter().for_each(|row| model(row, &mut found));
    let rows: Vec<&str> = self::rows(units).collect();
    sorted(&rows, 3, "units", &mut found);
    rows.iter().for_each(|row| unit(row, &mut found));
    found
}

/// How many models have a price of each kind.
#[must_use]
pub fn summary(models: &str, units: &str) -> String {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let mut add = |word: &str| *count.entry(word.to_owned()).or_default() += 1;
    for row in rows(models) {
        add("models");
        let fields: Vec<&str> = row.split('\t').collect();
        for (place, word) in [(2, "input"), (3, "output"), (4, "cached"), (5, "cache_write"), (8, "long_prompts")] {
            if fields.get(place).is_some_and(|field| !field.is_empty()) {
                add(word);
            }
        }
        fields.get(11).into_iter().flat_map(|more| more.split(';')).filter_map(|one| one.split_once(':')).for_each(|(word, _)| add(word));
    }
    for row in rows(units) {
        add(row.split('\t').nth(2).map_or("", |unit| if unit.starts_with("image:") { "image by size" } else { unit }));
    }
    count.iter().map(|(word, count)| format!("{count:>6} {word}\n")).collect()
}

/// The digest that a version ends with.
#[must_use]
pub fn digest(body: &str) -> String {
    let hash = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{:08x}", hash >> 32)
}

fn dated(version: &str) -> bool {
    let date = version.get(..10).unwrap_or_default().bytes();
    date.enumerate().all(|(place, byte)| if place == 4 || place == 7 { byte == b'-' } else { byte.is_ascii_digit() }) && version.len() > 10
}

fn rows(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

/// Keys are the first fields; each stands once, after those before it.
fn sorted(rows: &[&str], fields: usize, what: &str, found: &mut Vec<String>) {
    let key = |row: &str| row.split('\t').take(fields).map(str::to_owned).collect::<Vec<_>>();
    for pair in rows.windows(2) {
        let [before, after] = pair else { continue };
        let (before, after) = (key(before), key(after));
        if before == after {
            found.push(format!("{what}: {} stands there twice", after.join(" ")));
        } else if before > after {
            found.push(format!("{what}: {} stands after {}", after.join(" "), before.join(" ")));
        }
    }
}

/// A price in bounds; an empty field is none.
fn money(text: &str, most: u64) -> Result<Option<NanoUsd>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(nanos) if nanos <= most * DOLLAR => Ok(Some(NanoUsd(nanos))),
        Ok(nanos) => Err(format!("{} dollars is no likely price", NanoUsd(nanos))),
        Err(_) => Err(format!("{text} is no price")),
    }
}

fn model(row: &str, found: &mut Vec<String>) {
    let fields: Vec<&str> = row.split('\t').collect();
    let [provider, name, input, output, cached, cache_write, context, most, tiers, mode, _, more] = fields.as_slice() else {
        return found.push(format!("models: a line has {} fields of 12: {row}", fields.len()));
    };
    let mut wrong = |what: String| found.push(format!("models: {provider} {name}: {what}"));
    if provider.is_empty() || name.is_empty() {
        wrong("a name is empty".to_owned());
    }
    let mut read = |text: &str| {
        money(text, MILLION_MAX).unwrap_or_else(|what| {
            wrong(what);
            None
        })
    };
    let (input, _, cached, _) = (read(input), read(output), read(cached), read(cache_write));
    for tier in tiers.split(';').filter(|tier| !tier.is_empty()) {
        tier.split(':').skip(1).for_each(|price| {
            read(price);
        });
    }
    more.split(';').filter_map(|one| one.split_once(':')).for_each(|(_, price)| {
        read(price);
    });
    if let (Some(input), Some(cached)) = (input, cached)
        && cached > input
    {
        wrong("tokens from the cache cost more than others".to_owned());
    }
    if [context, most].iter().any(|count| !count.is_empty() && count.parse::<u32>().is_err()) {
        wrong("a count of tokens is none".to_owned());
    }
    let above =
        tiers.split(';').filter(|tier| !tier.is_empty()).map(|tier| tier.split(':').next().and_then(|above| above.parse::<u64>().ok()));
    if above.clone().any(|above| above.is_none()) || !above.is_sorted_by(|before, after| before < after) {
        wrong("prices of long prompts are out of order".to_owned());
    }
    if !mode.is_empty() && Mode::of(mode).map(Mode::word) != Some(mode) {
        wrong(format!("{mode} is no word for what a model is for"));
    }
    if let Some(unknown) =
        more.split(';').filter(|one| !one.is_empty()).find(|one| !MORE.iter().any(|(word, _)| one.split(':').next() == Some(word)))
    {
        wrong(format!("{unknown} is no price that is known here"));
    }
    let told = More::read(more);
    let dearer = |service| input.zip(told.price(Word::In(service, Class::Input))).is_some_and(|(usual, price)| price > usual);
    if dearer(Service::Batch) || dearer(Service::Flex) {
        wrong("to wait costs more than not to".to_owned());
    }
    let cheaper = input.zip(told.price(Word::In(Service::Priority, Class::Input))).is_some_and(|(usual, price)| price < usual);
    if cheaper {
        wrong("to go before others costs less than not to".to_owned());
    }
}

fn unit(row: &str, found: &mut Vec<String>) {
    let fields: Vec<&str> = row.split('\t').collect();
    let [provider, name, unit, price] = fields.as_slice() else {
        return found.push(format!("units: a line has {} fields of 4: {row}", fields.len()));
    };
    let sized = unit.strip_prefix("image:").and_then(|rest| rest.split_once(':')).is_some_and(|(_, size)| size.split_once('x').is_some());
    let known = sized
        || Unit::ALL.iter().any(|known| known.word() == *unit)
        || [units::WEB_SEARCH, units::SEARCHING_CALL, units::CALL].contains(unit);
    if provider.is_empty() || name.is_empty() || !known {
        found.push(format!("units: {row}: that is no unit"));
    }
    match money(price, UNIT_MAX) {
        Ok(Some(_)) => {}
        Ok(None) => found.push(format!("units: {row}: there is no price")),
        Err(what) => found.push(format!("units: {row}: {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_that_are_compiled_in_are_as_they_should_be() {
        let (models, units) = compiled_in();
        assert_eq!(faults(models, units), Vec::<String>::new());
        let summary = summary(models, units);
        for (word, few) in [
            ("models", 4400),
            ("long_prompts", 300),
            ("cache_write_1h", 200),
            ("audio_input", 100),
            ("audio_output", 70),
            ("image_output", 50),
            ("batch_input", 500),
            ("flex_input", 240),
            ("priority_input", 350),
            ("web_search", 350),
            ("image by size", 200),
            ("second", 90),
            ("character", 35),
        ] {
            let count = summary.lines().find_map(|line| line.trim().split_once(' ').filter(|(_, of)| *of == word)?.0.parse::<usize>().ok());
            assert!(count.is_some_and(|count| count > few), "{word}: {summary}");
        }
    }

    #[test]
    fn each_fault_is_found() {
        let good = "a\tb\t10\t20\t5\t\t100\t\t200:40:60::\tchat\t-\tbatch_input:5";
        let told = |row: &str| {
            let mut found = Vec::new();
            model(row, &mut found);
            found
        };
        assert_eq!(told(good), Vec::<String>::new());
        for (from, to, what) in [
            ("\t20\t", "\t-20\t", "is no price"),
            ("\t20\t", "\t20000000000000\t", "no likely price"),
            ("\t5\t", "\t11\t", "from the cache cost more"),
            ("batch_input:5", "batch_input:11", "to wait costs more"),
            ("batch_input:5", "priority_input:9", "before others costs less"),
            ("batch_input:5", "half_input:5", "no price that is known"),
            ("200:40:60::", "200:40:60::;200:50:70::", "out of order"),
            ("\tchat", "\tchatting", "no word for what"),
            ("\t100\t", "\tmany\t", "a count of tokens"),
            ("a\tb", "\tb", "a name is empty"),
            ("\tchat\t-", "\tchat", "fields of 12"),
        ] {
            let found = told(&good.replacen(from, to, 1));
            assert!(found.iter().any(|fault| fault.contains(what)), "{to}: {found:?}");
        }
        for (row, what) in
            [("a\tb\tmile\t1", "no unit"), ("a\tb\timage\t", "no price"), ("a\tb\timage\t6000000000", "no likely"), ("a\tb", "fields of 4")]
        {
            let mut found = Vec::new();
            unit(row, &mut found);
            assert!(found.iter().any(|fault| fault.contains(what)), "{row}: {found:?}");
        }
        let (models, units) = compiled_in();
        let twice = models.lines().nth(5).map(|line| models.replacen(line, &format!("{line}\n{line}"), 1)).unwrap_or_default();
        assert!(faults(&twice, units).iter().any(|fault| fault.contains("twice")));
        assert!(faults(&models.replacen("chat", "chat ", 1), units).iter().any(|fault| fault.contains("changed by hand")));
        assert!(faults("", units).iter().any(|fault| fault.contains("no date")));
        let last = units.lines().last().unwrap_or_default();
        assert!(faults(models, &format!("{units}{last}\n{}\n", units.lines().nth(1).unwrap_or_default())).len() >= 2);
    }
}
