//! The table, for people and as JSON, and whether it may be believed.

use std::fmt;

use serde_json::{Value, json};

use crate::Asked;
use crate::figures::{Compared, Figure, Spread};

/// A table and what it rests on.
pub struct Report {
    /// Its lines.
    pub figures: Vec<Figure>,
    /// What it rests on.
    pub validity: Validity,
}

/// What decides whether the table is void.
#[derive(Debug, Default)]
pub struct Validity {
    /// CPU of our relay for each call, by round.
    pub relay_cpu: Vec<f64>,
    /// Calls a second through our relay.
    pub relay_rate: Vec<f64>,
    /// CPU of the foreign relay; empty when it was not run.
    pub floor_cpu: Vec<f64>,
    /// Calls a second straight to the upstream.
    pub upstream_rate: Vec<f64>,
    /// Calls that failed anywhere.
    pub failed: u64,
    /// Receipts that the gateways could not write.
    pub receipts_dropped: u64,
}

/// Our relay may cost so much more than the foreign one.
const RELAY_MAX: f64 = 1.1;
/// Upstream and load must reach so many times the relay's rate.
const LOAD_MIN: f64 = 2.0;

impl Validity {
    /// Why the table is void; nothing when it is not.
    pub fn void(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(ratio) = ratio(&self.relay_cpu, &self.floor_cpu)
            && ratio > RELAY_MAX
        {
            reasons.push(format!("our relay costs {ratio:.2}x the floor, of at most {RELAY_MAX}x"));
        }
        if let Some(ratio) = ratio(&self.upstream_rate, &self.relay_rate)
            && ratio < LOAD_MIN
        {
            reasons.push(format!("upstream and load reach {ratio:.2}x the relay's rate, of at least {LOAD_MIN}x"));
        }
        if self.failed > 0 {
            reasons.push(format!("{} calls failed", self.failed));
        }
        if self.receipts_dropped > 0 {
            reasons.push(format!("{} receipts were dropped", self.receipts_dropped));
        }
        reasons
    }

    /// What could not be checked.
    fn unchecked(&self) -> Vec<&'static str> {
        let mut unchecked = Vec::new();
        if self.relay_cpu.is_empty() {
            unchecked.push("the row `small` was not run: neither the relay nor the load was checked");
        } else if self.floor_cpu.is_empty() {
            unchecked.push("SKIPPED: the relay was not held against the floor: set PORTOLAN_FLOOR to its binary");
        }
        unchecked
    }
}

fn ratio(ours: &[f64], base: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = ours.iter().zip(base).map(|(ours, base)| ours / base).collect();
    Some(Spread::of(&ratios)?.median)
}

impl Report {
    /// The same for programs.
    pub fn json(&self, asked: &Asked) -> Value {
        let figures = self.figures.iter().map(|figure| {
            let mut value = json!(figure);
            value["comparison"] = json!(figure.comparison());
            value["reached"] = json!(figure.reached());
            value
        });
        json!({
            "rounds": asked.rounds,
            "seconds": asked.seconds,
            "pinned": asked.pin,
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "void": self.validity.void(),
            "unchecked": self.validity.unchecked(),
            "failedCalls": self.validity.failed,
            "relayOverFloor": ratio(&self.validity.relay_cpu, &self.validity.floor_cpu),
            "loadOverRelay": ratio(&self.validity.upstream_rate, &self.validity.relay_rate),
            "figures": figures.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | base | median (range) | gateway, median (range) | compared, median (range) | at most | |")?;
        writeln!(f, "|---|---|--:|--:|--:|--:|---|")?;
        for figure in &self.figures {
            let unit = figure.unit;
            let sign = match figure.compared {
                Compared::Ratio => "x".to_owned(),
                Compared::Difference | Compared::Alone => format!(" {unit}"),
            };
            let compared = if figure.compared == Compared::Alone { None } else { figure.comparison() };
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} |",
                figure.name,
                figure.base_name,
                shown(Spread::of(&figure.base), &format!(" {unit}")),
                shown(Spread::of(&figure.ours), &format!(" {unit}")),
                shown(compared, &sign),
                figure.goal.map_or(String::new(), |goal| format!("{goal}{sign}")),
                match figure.reached() {
                    Some(true) => "reached",
                    Some(false) => "MISSED",
                    None => "",
                }
            )?;
        }
        for (name, found) in [
            ("our relay over the floor, CPU", ratio(&self.validity.relay_cpu, &self.validity.floor_cpu)),
            ("upstream and load over our relay, rate", ratio(&self.validity.upstream_rate, &self.validity.relay_rate)),
        ] {
            if let Some(found) = found {
                writeln!(f, "{name}: {found:.2}x")?;
            }
        }
        for reason in self.validity.unchecked() {
            writeln!(f, "{reason}")?;
        }
        for reason in self.validity.void() {
            writeln!(f, "VOID: {reason}")?;
        }
        Ok(())
    }
}

fn shown(spread: Option<Spread>, unit: &str) -> String {
    let Some(Spread { median, least, most }) = spread else { return String::new() };
    let digits = match median.abs() {
        large if large >= 1000.0 => 0,
        middle if middle >= 20.0 => 1,
        _ => 2,
    };
    if (most - least).abs() < f64::EPSILON {
        return format!("{median:.digits$}{unit}");
    }
    format!("{median:.digits$}{unit} ({least:.digits$}..{most:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Validity {
        Validity { relay_cpu: vec![20.0], relay_rate: vec![40e3], floor_cpu: vec![19.0], upstream_rate: vec![90e3], ..Validity::default() }
    }

    #[test]
    fn a_table_is_void_when_its_relay_its_load_or_its_gateway_did_not_do_their_work() {
        assert_eq!(valid().void(), [""; 0]);
        for void in [
            Validity { floor_cpu: vec![18.0], ..valid() },
            Validity { upstream_rate: vec![79e3], ..valid() },
            Validity { failed: 1, ..valid() },
            Validity { receipts_dropped: 1, ..valid() },
        ] {
            assert_eq!(void.void().len(), 1, "{void:?}");
        }
    }

    #[test]
    fn what_was_not_checked_is_told() {
        assert_eq!(valid().unchecked(), [""; 0]);
        assert!(Validity { floor_cpu: Vec::new(), ..valid() }.unchecked()[0].contains("SKIPPED"));
        assert!(Validity::default().unchecked()[0].contains("not run"));
    }
}
