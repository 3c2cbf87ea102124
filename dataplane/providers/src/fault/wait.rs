//! When to come back, as providers write it.

use std::time::Duration;

/// `1m12s`, `6ms`, `17.39s`, `1h2m`, and plain seconds. More than a year is none.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return within(seconds);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let amount: f64 = rest.get(..number)?.parse().ok()?;
        rest = rest.get(number..)?;
        let unit = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let factor = match rest.get(..unit)? {
            "ns" => 1e-9,
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minutes" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        seconds += amount * factor;
        rest = rest.get(unit..)?;
    }
    if text.is_empty() { None } else { within(seconds) }
}

fn within(seconds: f64) -> Option<Duration> {
    (0.0..31_536_000.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// `Please try again in 1m12s.`, `Please retry in 48.9s.`, `Please retry after 7 seconds.`
#[must_use]
pub(super) fn in_words(message: &str) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    let after = ["try again in ", "retry in ", "retry after ", "try again after "].iter().find_map(|words| lower.split_once(words))?.1;
    let mut words = after.split_ascii_whitespace();
    let first = words.next()?.trim_end_matches(['.', ',', ';', ')']);
    // A number without a unit has it in the next word.
    if first.parse::<f64>().is_ok() {
        let unit = words.next().unwrap_or_default().trim_end_matches(['.', ',', ';', ')']);
        return duration(&format!("{first}{unit}"));
    }
    duration(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_form() {
        let ms = |text: &str| duration(text).map(|duration| duration.as_millis());
        for (text, wanted) in [
            ("6ms", 6),
            ("1m12s", 72_000),
            ("17.399999999s", 17_399),
            ("0s", 0),
            ("6m0s", 360_000),
            ("1h2m", 3_720_000),
            ("7", 7000),
            ("0.5", 500),
        ] {
            assert_eq!(ms(text), Some(wanted), "{text}");
        }
        for bad in ["", "soon", "1x", "s", "-1s", "1e300", "NaN", "inf", "1s2", "9999999h", "1.2.3s", "\u{fc}"] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_wait_is_found_in_words() {
        let ms = |text: &str| in_words(text).map(|duration| duration.as_millis());
        assert_eq!(ms("Rate limit reached. Please try again in 1m12.5s. Visit https://x"), Some(72_500));
        assert_eq!(ms("Quota exceeded.\nPlease retry in 48.939935699s."), Some(48_939));
        assert_eq!(ms("Please retry after 7 seconds."), Some(7000));
        assert_eq!(ms("try again in 20ms"), Some(20));
        for none in ["", "try again later", "try again in a while", "please retry in"] {
            assert_eq!(ms(none), None, "{none}");
        }
    }
}
