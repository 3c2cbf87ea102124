//! The receipt and its line.

use providers::json::write_text;
use snapshot::{NanoUsd, Service};

use super::price::cost;
use crate::exchange::{ClientRequestId, Ending, Outcome};

/// Fields of a line with what they mean; `docs/logs.md` shows the same list.
pub const FIELDS: [(&str, &str); 35] = [
    ("time", "when the request's head was read, RFC 3339 in UTC"),
    ("call", "id of the call, made by the gateway"),
    ("request", "the client's x-request-id, else its x-portkey-trace-id, when it sent a safe one"),
    ("surface", "the door, as in the metrics; null for other paths"),
    ("stream", "whether a stream was asked for"),
    ("key", "namespace/name of the VirtualKey; null before it is known"),
    ("team", "owner.team of the key"),
    ("user", "owner.user of the key, when set"),
    ("application", "owner.application of the key, when set"),
    ("environment", "owner.environment of the key, when set"),
    ("cost_center", "owner.costCenter of the key, when set"),
    ("revision", "the one configuration that the call saw"),
    ("model", "as the client wrote it"),
    ("provider", "namespace/name of the LLMProvider of the last attempt"),
    ("provider_type", "its type"),
    ("upstream_model", "the model that was asked for there"),
    ("model_served", "the model as the answer names it"),
    ("rule", "the routing rule that decided; of surface proxy the entry of spec.proxy.paths"),
    ("attempts", "attempts at providers"),
    ("translated", "whether the request was translated"),
    ("status", "HTTP status that the client got; 0 when it left before"),
    ("outcome", "answered, refused, failed or client_gone"),
    ("code", "the refusal's code or the failure's class; null when answered"),
    ("usage", "prompt, completion, cached, cache_write, reasoning tokens as the provider counts, and rarer ones; null when it told none"),
    ("measured", "unit (image, second, character or search) and count of what is not counted in tokens; null when nothing is"),
    ("cost_nano_usd", "cost in 1e-9 US dollars of all that has a price; null when nothing has, or without usage"),
    ("priced", "whether sure prices are known of all that was used; else the cost is the nearest that is known"),
    ("catalog", "version of the price catalog"),
    ("total_us", "head of the request to last byte of the answer, in microseconds"),
    ("first_byte_us", "head of the request to first byte of the answer"),
    ("upstream_us", "spent waiting for providers before the first byte"),
    ("overhead_us", "first_byte_us less upstream_us"),
    ("request_bytes", "bytes of the request's body"),
    ("answer_bytes", "bytes of the answer's body"),
    ("detail", "what went wrong, without content; null when nothing did"),
];

/// A field's name with all that stands around it, so that one copy writes it.
macro_rules! field {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}

/// What a call came to.
#[derive(Debug)]
pub struct Receipt<'a> {
    from: &'a Outcome,
    /// `answered`, `refused`, `failed` or `client_gone`.
    pub outcome: &'static str,
    code: Option<&'static str>,
    /// What it cost, as far as prices are known; `None` when none are or it told no usage.
    pub cost: Option<NanoUsd>,
    /// Prices are known of all that it used.
    pub priced: bool,
}

impl<'a> Receipt<'a> {
    /// Prices an outcome.
    #[must_use]
    pub fn of(outcome: &'a Outcome) -> Self {
        let (word, code) = match outcome.ending {
            Ending::Answered => ("answered", None),
            Ending::Refused(code) => ("refused", Some(code)),
            Ending::Failed(class) => ("failed", Some(class.word())),
            Ending::ClientGone => ("client_gone", None),
        };
        let (usage, measured) = (outcome.usage.as_ref(), outcome.measured.as_ref());
        let prices = outcome.attempt.as_ref().map(|attempt| {
            let named = (attempt.declared, &*attempt.model);
            attempt.provider.prices(named, &usage.copied().unwrap_or_default(), measured, &outcome.picture)
        });
        let cost = prices.as_ref().and_then(|prices| cost(usage, measured, prices));
        let used = usage.is_some() || measured.is_some();
        let known = cost.filter(|_| used).map(|cost| cost.known);
        Self { from: outcome, outcome: word, code, cost: known, priced: cost.is_some_and(|cost| cost.whole) && !outcome.unpriced }
    }

    /// Appends the line, with its line feed.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Outcome { call, client_request, received_unix_ms, surface, live, key, model_asked, model_served, rule, attempt, .. } =
            self.from;
        out.extend_from_slice(b"{\"time\":\"");
        write_time(out, *received_unix_ms);
        out.push(b'"');
        text(out, field!("call"), Some(call.as_str()));
        text(out, field!("request"), client_request.as_ref().map(ClientRequestId::as_str));
        text(out, field!("surface"), surface.map(snapshot::Surface::word));
        flag(out, field!("stream"), self.from.stream);
        let key = key.as_ref().map(|key| &key.key);
        text(out, field!("key"), key.map(|key| key.id.as_str()));
        text(out, field!("team"), key.map(|key| key.owner.team.as_str()));
        if let Some(owner) = key.map(|key| &key.owner) {
            let optional = [
                (field!("user"), &owner.user),
                (field!("application"), &owner.application),
                (field!("environment"), &owner.environment),
                (field!("cost_center"), &owner.cost_center),
            ];
            optional.into_iter().filter(|(_, value)| value.is_some()).for_each(|(name, value)| text(out, name, value.as_deref()));
        }
        text(out, field!("revision"), Some(&live.revision.text));
        text(out, field!("model"), model_asked.as_deref());
        let provider = attempt.as_ref().map(|attempt| &attempt.provider.provider);
        text(out, field!("provider"), provider.map(|provider| provider.id.as_str()));
        text(out, field!("provider_type"), provider.map(|provider| provider.kind.word()));
        text(out, field!("upstream_model"), attempt.as_ref().map(|attempt| &*attempt.model).filter(|model| !model.is_empty()));
        text(out, field!("model_served"), model_served.as_deref());
        text(out, field!("rule"), rule.as_deref());
        number(out, field!("attempts"), Some(u64::from(self.from.attempts)));
        flag(out, field!("translated"), self.from.translated);
        number(out, field!("status"), Some(u64::from(self.from.status)));
        text(out, field!("outcome"), Some(self.outcome));
        text(out, field!("code"), self.code);
        self.write_usage(out);
        self.write_measured(out);
        number(out, field!("cost_nano_usd"), self.cost.map(|cost| cost.0));
        flag(out, field!("priced"), self.priced);
        text(out, field!("catalog"), Some(catalog::version()));
        self.write_times(out);
        number(out, field!("request_bytes"), Some(self.from.request_bytes));
        number(out, field!("answer_bytes"), Some(self.from.answer_bytes));
        match (&self.from.unanswered, self.from.detail.as_deref()) {
            (None, detail) => text(out, field!("detail"), detail),
            (Some(one), detail) => {
                let (before, detail) = detail.map_or(("", ""), |detail| ("; ", detail));
                text(out, field!("detail"), Some(&format!("rule {} has no answer: {}{before}{detail}", one.rule, one.why)));
            }
        }
        out.extend_from_slice(b"}\n");
    }

    fn write_usage(&self, out: &mut Vec<u8>) {
        let Some(usage) = &self.from.usage else { return out.extend_from_slice(b",\"usage\":null") };
        out.extend_from_slice(b",\"usage\":{\"prompt\":");
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(usage.prompt).as_bytes());
        number(out, field!("completion"), Some(usage.completion));
        number(out, field!("cached"), Some(usage.cached));
        number(out, field!("cache_write"), Some(usage.cache_write));
        number(out, field!("reasoning"), Some(usage.reasoning));
        let more = &usage.more;
        let (billed_prompt, billed_completion) = more.billed.unwrap_or_default();
        for (name, count) in [
            (field!("cache_write_1h"), more.cache_hour),
            (field!("audio_input"), more.audio_in),
            (field!("audio_output"), more.audio_out),
            (field!("image_input"), more.image_in),
            (field!("image_output"), more.image_out),
            (field!("searches"), more.searches),
            (field!("billed_prompt"), billed_prompt),
            (field!("billed_completion"), billed_completion),
        ] {
            if count > 0 {
                number(out, name, Some(count));
            }
        }
        if more.service != Service::Standard {
            text(out, field!("service"), Some(more.service.word()));
        }
        out.push(b'}');
    }

    fn write_measured(&self, out: &mut Vec<u8>) {
        let Some(measured) = &self.from.measured else { return out.extend_from_slice(b",\"measured\":null") };
        out.extend_from_slice(b",\"measured\":{\"unit\":");
        write_text(out, measured.unit.word());
        number(out, field!("count"), Some(measured.thousandths / 1000));
        let rest = measured.thousandths % 1000;
        if rest > 0 {
            out.extend_from_slice(format!(".{rest:03}").as_bytes());
        }
        out.push(b'}');
    }

    fn write_times(&self, out: &mut Vec<u8>) {
        let us = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        number(out, field!("total_us"), Some(us(self.from.total)));
        number(out, field!("first_byte_us"), self.from.first_byte.map(us));
        number(out, field!("upstream_us"), Some(us(self.from.upstream_wait)));
        number(out, field!("overhead_us"), self.from.first_byte.map(|first| us(first.saturating_sub(self.from.upstream_wait))));
    }
}

fn text(out: &mut Vec<u8>, field: &[u8], value: Option<&str>) {
    out.extend_from_slice(field);
    match value {
        Some(value) => write_text(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn number(out: &mut Vec<u8>, field: &[u8], value: Option<u64>) {
    out.extend_from_slice(field);
    match value {
        Some(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
}

fn flag(out: &mut Vec<u8>, field: &[u8], value: bool) {
    out.extend_from_slice(field);
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// `2026-01-02T03:04:05.678Z`, by the civil-from-days rule of the proleptic Gregorian calendar.
fn write_time(out: &mut Vec<u8>, unix_ms: u64) {
    let (days, in_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let mut part = |value: u64, width: u32, after: &[u8]| {
        (0..width).rev().for_each(|place| out.push(b'0' + (value / 10_u64.pow(place) % 10) as u8));
        out.extend_from_slice(after);
    };
    part(year, 4, b"-");
    part(month, 2, b"-");
    part(day, 2, b"T");
    part(in_day / 3_600_000, 2, b":");
    part(in_day / 60_000 % 60, 2, b":");
    part(in_day / 1000 % 60, 2, b".");
    part(in_day % 1000, 3, b"Z");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_as_rfc_3339() {
        for (unix_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_795_564_799_999, "2026-11-24T23:59:59.999Z"),
        ] {
            let mut out = Vec::new();
            write_time(&mut out, unix_ms);
            assert_eq!(String::from_utf8(out).expect("text"), expected);
        }
    }
}
